//! Keys that were renamed: the old name is still read (`serde(alias)`), with a warning.

/// Section, old key and new key.
const RENAMED: [(&[&str], &str, &str); 3] = [
    (&["data", "labels"], "drawn", "annotated_in"),
    (&["data", "mix"], "drawn", "fully_annotated"),
    (&["data", "mix", "labels"], "drawn", "annotated_in"),
];

/// One message per old key that is in `table`.
pub(super) fn old_keys(table: &toml::Table) -> Vec<String> {
    (RENAMED.iter())
        .filter(|(section, old, _)| has_key(table, section, old))
        .map(|(section, old, new)| {
            let section = section.join(".");
            format!("`{section}.{old}` is an old key; it is now called `{section}.{new}`")
        })
        .collect()
}

/// Whether `key` is in the section, or in one of the tables of a list there.
fn has_key(table: &toml::Table, section: &[&str], key: &str) -> bool {
    let Some((first, rest)) = section.split_first() else {
        return table.contains_key(key);
    };
    match table.get(*first) {
        Some(toml::Value::Table(inner)) => has_key(inner, rest, key),
        Some(toml::Value::Array(list)) => (list.iter())
            .filter_map(toml::Value::as_table)
            .any(|inner| has_key(inner, rest, key)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const MIX: &str = "[[data.mix]]\ntrain = 'a'\nshare = 0.5\n";

    #[test]
    fn old_keys_are_read_with_a_warning() {
        let old = format!(
            "[data.labels]\ndrawn = {{ 3 = ['a'] }}\n{MIX}drawn = false\nlabels = {{ drawn = {{ 2 = [] }} }}"
        );
        let new = format!(
            "[data.labels]\nannotated_in = {{ 3 = ['a'] }}\n{MIX}fully_annotated = false\n\
             labels = {{ annotated_in = {{ 2 = [] }} }}"
        );
        let parse = |text: &str| Config::parse(text, "x.toml", &[]).unwrap();
        assert_eq!(parse(&old), parse(&new));
        assert_eq!(parse(&old).data.labels.annotated_in["3"], ["a"]);

        let messages = |text: &str| old_keys(&text.parse().unwrap());
        assert_eq!(messages(&old).len(), 3);
        assert!(messages(&old)[0].contains("`data.labels.annotated_in`"));
        assert!(messages(&new).is_empty());
    }

    #[test]
    fn an_override_may_use_the_old_key() {
        let set = ["data.labels.drawn={3=['a']}".to_owned()];
        let config = Config::parse("", "x.toml", &set).unwrap();
        assert_eq!(config.data.labels.annotated_in["3"], ["a"]);
    }

    #[test]
    fn both_names_at_once_are_an_error() {
        let both = "[data.labels]\ndrawn = {}\nannotated_in = {}";
        assert!(Config::parse(both, "x.toml", &[]).is_err());
    }

    #[test]
    fn the_network_may_be_called_by_either_name() {
        let parse = |kind: &str| Config::parse(&format!("[model]\nkind = '{kind}'"), "x", &[]);
        assert_eq!(
            parse("segmenter").unwrap(),
            parse("graph-transformer").unwrap()
        );
    }
}
