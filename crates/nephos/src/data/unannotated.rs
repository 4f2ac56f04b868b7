//! Partially annotated labels: pixels labelled clear may be of a class that was not annotated.

use std::collections::BTreeSet;
use std::fmt::Display;

use ndarray::{ArrayView2, ArrayViewMut2};
use nephos_kernel::loss::{Label, either};

use super::Dataset;
use crate::class::Class;
use crate::config::LabelConfig;
use crate::error::Result;

impl LabelConfig {
    /// Whether `annotated_in` is about samples with these names: one of them is
    /// listed, or no name is, so that the class was annotated in no sample at all.
    pub fn is_about<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        let mut listed = self.annotated_in.values().flatten().peekable();
        if listed.peek().is_none() {
            return true;
        }
        let listed: BTreeSet<&str> = listed.map(String::as_str).collect();
        names.any(|name| listed.contains(name))
    }

    /// The note where `annotated_in` is not about the samples of `container`.
    pub fn not_about(&self, container: impl Display) -> String {
        let listed: usize = self.annotated_in.values().map(Vec::len).sum();
        format!(
            "data.labels.annotated_in does not apply to {container}: {}. Where \
             a class was annotated in no sample, list no names",
            match listed {
                1 => "the name that it lists is no sample's".to_owned(),
                number => format!("none of the {number} names that it lists is a sample's"),
            }
        )
    }

    /// The classes that were not annotated in the sample of that name.
    pub fn unannotated(&self, sample: &str) -> Vec<usize> {
        (self.annotated_in.iter())
            .filter(|(_, samples)| !samples.iter().any(|name| name == sample))
            .filter_map(|(class, _)| class.parse().ok())
            .collect()
    }
}

impl Dataset {
    /// The classes that were not annotated in sample `index`, by `data.labels.annotated_in`, where
    /// it is about the container that holds the sample.
    pub fn unannotated(&self, index: usize) -> Vec<usize> {
        self.annotation(index).unannotated(&self.name(index))
    }

    /// The classes, besides clear, that pixels of sample `index` labelled clear may have.
    ///
    /// # Errors
    /// A label that can't be read, where it is needed.
    pub(crate) fn possible_classes(&self, index: usize) -> Result<Vec<usize>> {
        let unannotated = self.unannotated(index);
        if unannotated.is_empty() {
            return Ok(unannotated);
        }
        Ok(match self.label(index)? {
            Some(label) => possible_classes(unannotated, label.view()),
            None => unannotated,
        })
    }
}

/// Of the classes that were not annotated in a sample, those that are possible: where there is
/// no cloud, there is no shadow. `label` is that of the whole sample.
pub(crate) fn possible_classes(
    mut unannotated: Vec<usize>,
    label: ArrayView2<'_, u8>,
) -> Vec<usize> {
    let cloud = [Class::Thick as usize, Class::Thin as usize];
    let cloudy = |code: &u8| {
        let label = Label::of(*code);
        label.is_some_and(|label| cloud.iter().any(|class| label.has(*class)))
    };
    if !label.iter().any(cloudy) {
        unannotated.retain(|class| *class != Class::Shadow as usize);
    }
    unannotated
}

/// Labels clear pixels as clear or one of the classes in `unannotated`, of `classes`, as
/// [`nephos_kernel::loss::Label`] reads it.
pub(crate) fn set_possible_classes(
    mut label: ArrayViewMut2<'_, u8>,
    unannotated: &[usize],
    classes: usize,
) {
    let clear = Class::Clear as usize;
    let mut may: Vec<usize> = vec![clear];
    may.extend(unannotated.iter().copied().filter(|class| *class < classes));
    if may.len() > 1 {
        let open = either(&may);
        label.mapv_inplace(|code| {
            if usize::from(code) == clear {
                open
            } else {
                code
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn clear_becomes_the_set_of_possible_classes() {
        let mut label = array![[0, 1], [3, 255]];
        set_possible_classes(label.view_mut(), &[7], 4);
        assert_eq!(label, array![[0, 1], [3, 255]], "no class of four");
        set_possible_classes(label.view_mut(), &[3], 4);
        assert_eq!(label, array![[128 + 1 + 8, 1], [3, 255]]);
    }

    #[test]
    fn shadow_is_possible_only_where_there_is_cloud() {
        assert_eq!(possible_classes(vec![2, 3], array![[0, 255]].view()), [2]);
        assert_eq!(possible_classes(vec![2, 3], array![[0, 2]].view()), [2, 3]);
    }

    #[test]
    fn classes_that_are_not_listed_are_annotated() {
        let mut labels = LabelConfig::default();
        assert!(labels.unannotated("a").is_empty());
        labels
            .annotated_in
            .insert("3".to_owned(), vec!["a".to_owned()]);
        assert!(labels.unannotated("a").is_empty());
        assert_eq!(labels.unannotated("b"), [3]);
    }

    #[test]
    fn lists_apply_to_containers_that_have_a_listed_name() {
        let mut labels = LabelConfig::default();
        let about = |labels: &LabelConfig, names: &[&str]| labels.is_about(names.iter().copied());
        assert!(about(&labels, &["x"]));
        labels.annotated_in.insert("3".to_owned(), Vec::new());
        assert!(about(&labels, &["x"]), "in no sample at all");
        labels
            .annotated_in
            .insert("2".to_owned(), vec!["a".to_owned()]);
        assert!(about(&labels, &["x", "a"]));
        assert!(!about(&labels, &["x", "A", ""]));
        let message = labels.not_about("b.pkl");
        assert!(
            message.contains("does not apply to b.pkl: the name"),
            "{message}"
        );
    }
}
