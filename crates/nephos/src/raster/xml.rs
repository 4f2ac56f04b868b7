//! XML metadata as a tree, with bounds.
//!
//! Elements are found by their names without prefix. Document types are refused, so that
//! there are no entities but the five of XML itself and character references.

use std::path::Path;

use roxmltree::{Document, Node};

use crate::error::{Error, Result};

/// Largest file, in bytes; real ones have less than one million.
pub const LARGEST: usize = 64 << 20;
/// Most tags of a file, and most attributes: the parser allocates for all of them at once.
const MOST_TAGS: usize = 1 << 21;
/// Most namespaces that a file declares: each element with one of its own has a list of all.
const MOST_NAMESPACES: usize = 1 << 10;

/// The tree of a document in UTF-8; space and NUL bytes around it are left out.
///
/// # Errors
/// It is no such document, or is beyond the bounds.
pub fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Document<'a>> {
    let limits = |message| Err(Error::limits(path.display(), message));
    if bytes.len() > LARGEST {
        return limits(format!(
            "XML of {} bytes, at most {LARGEST} are read",
            bytes.len()
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::format_at(path, e.valid_up_to() as u64, "broken XML: not UTF-8"))?;
    let text = text
        .trim_start_matches('\u{feff}')
        .trim_matches(|c: char| c.is_whitespace() || c == '\0');
    for (what, most, names) in [
        ("<", MOST_TAGS, "tags"),
        ("=", MOST_TAGS, "attributes"),
        ("xmlns", MOST_NAMESPACES, "namespaces"),
    ] {
        if text.matches(what).count() > most {
            return limits(format!("XML with more than {most} {names}"));
        }
    }
    Document::parse(text).map_err(|e| {
        let message = match e {
            roxmltree::Error::DtdDetected => "XML with a document type is not read".to_owned(),
            e => format!("broken XML: {e}"),
        };
        Error::format(path, message)
    })
}

/// The element's name without its prefix.
pub fn name<'a>(element: Node<'_, 'a>) -> &'a str {
    element.tag_name().name()
}

/// The first text directly in the element that is not blank, without space around it.
pub fn text<'a>(element: Node<'a, '_>) -> &'a str {
    (element.children())
        .filter(Node::is_text)
        .find_map(|node| node.text().map(str::trim).filter(|text| !text.is_empty()))
        .unwrap_or_default()
}

/// The elements directly within this one, in file order.
pub fn children<'a, 'i>(element: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    element.children().filter(Node::is_element)
}

/// The elements of this name within this one, at any depth, in file order.
pub fn all<'a, 'i>(element: Node<'a, 'i>, name: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    (element.descendants().skip(1)).filter(move |node| node.has_tag_name(name))
}

/// The first element of this name within this one.
pub fn find<'a, 'i>(element: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    all(element, name).next()
}

/// The text of the first element of this name within this one; empty where there is none.
pub fn text_of<'a>(element: Node<'a, '_>, name: &str) -> &'a str {
    find(element, name).map_or("", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document<'_>> {
        super::parse(Path::new("x.xml"), text.as_bytes())
    }

    #[test]
    fn prefixes_references_and_nesting() {
        let document = parse(
            "\u{feff}\n<?xml version='1.0'?><n:a xmlns:n='u'><b id='1&amp;2'><!-- c --> x &lt; \
             &#65; </b><c><n:b id='2'/></c></n:a>\n\0\0",
        )
        .unwrap();
        let root = document.root_element();
        assert_eq!(name(root), "a");
        let found: Vec<_> = all(root, "b")
            .map(|b| (b.attribute("id").unwrap(), text(b)))
            .collect();
        assert_eq!(found, [("1&2", "x < A"), ("2", "")]);
        assert!(find(root, "a").is_none());
        assert_eq!(text_of(root, "d"), "");
    }

    #[test]
    fn broken_and_hostile_xml_is_an_error() {
        let many = |text: &str, count| format!("<a>{}</a>", text.repeat(count));
        for text in [
            "",
            "no xml",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&e;</a>",
            "<a b='&e;'/>",
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
            &many("<b/>", MOST_TAGS),
            &many("<b xmlns='c'/>", MOST_NAMESPACES + 1),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("x.xml"), "{error}");
        }
        assert!(super::parse(Path::new("x.xml"), b"<a>\xff</a>").is_err());
    }

    #[test]
    fn deep_nesting_takes_no_stack() {
        let deep = 1 << 19;
        let deep = format!("{}<b>x</b>{}", "<a>".repeat(deep), "</a>".repeat(deep));
        let document = parse(&deep).unwrap();
        assert_eq!(text_of(document.root_element(), "b"), "x");
    }
}
