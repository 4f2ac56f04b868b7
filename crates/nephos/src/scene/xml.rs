//! XML metadata as a tree of elements, with bounds.
//!
//! Namespace prefixes are ignored. Document types are refused, so that there are
//! no entities but the five of XML itself and character references.

use std::path::Path;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use crate::error::{Error, Result};

/// Largest file, in bytes; real ones have less than one million.
pub const LARGEST: usize = 64 << 20;
/// Deepest nesting of elements.
const DEEPEST: usize = 32;
/// Most elements of a file.
const MOST_ELEMENTS: usize = 1 << 20;

/// An element with all that lies in it.
#[derive(Debug, Default)]
pub struct Element {
    /// Without its prefix.
    pub name: String,
    attributes: Vec<(String, String)>,
    /// Its own text, without that of the elements in it.
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root element of a document.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LARGEST {
            let message = format!("XML of {} bytes, at most {LARGEST} are read", bytes.len());
            return Err(Error::limits(path.display(), message));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|e| Error::format_at(path, e.valid_up_to() as u64, "broken XML: not UTF-8"))?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        // The elements that are open, the root first, below a nameless one.
        let mut open = vec![Self::default()];
        let mut count = 0;
        loop {
            let at = reader.buffer_position();
            let broken = |message: String| Error::format_at(path, at, message);
            let event = reader
                .read_event()
                .map_err(|e| broken(format!("broken XML: {e}")))?;
            if let Event::Start(_) | Event::Empty(_) = event {
                count += 1;
                if count > MOST_ELEMENTS || open.len() > DEEPEST {
                    let message = format!(
                        "XML with more than {MOST_ELEMENTS} elements or more than {DEEPEST} deep"
                    );
                    return Err(Error::limits(path.display(), message));
                }
            }
            match event {
                Event::Start(tag) => open.push(Self::of_tag(&tag).map_err(broken)?),
                Event::Empty(tag) => {
                    let element = Self::of_tag(&tag).map_err(broken)?;
                    last(&mut open).children.push(element);
                }
                Event::End(_) => {
                    // The parser has checked that each end has its start.
                    if let Some(element) = open.pop() {
                        last(&mut open).children.push(element);
                    }
                }
                Event::Text(text) => last(&mut open).text += &text,
                Event::CData(text) => last(&mut open).text += &text,
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(character)) => Some(character.to_string()),
                        Ok(None) => resolve_predefined_entity(&reference).map(str::to_owned),
                        Err(_) => None,
                    };
                    let resolved = resolved.ok_or_else(|| {
                        broken(format!("broken XML: reference &{};", &*reference))
                    })?;
                    last(&mut open).text += &resolved;
                }
                Event::DocType(_) => {
                    return Err(broken("XML with a document type is not read".to_owned()));
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => return finish(path, at, open),
            }
        }
    }

    fn of_tag(tag: &BytesStart<'_>) -> Result<Self, String> {
        let attributes = tag
            .attributes()
            .map(|attribute| {
                let attribute = attribute.map_err(|e| format!("broken XML: {e}"))?;
                let value = (attribute.normalized_value(XmlVersion::Implicit1_0))
                    .map_err(|e| format!("broken XML: {e}"))?;
                Ok((
                    attribute.key.local_name().as_ref().to_owned(),
                    value.into_owned(),
                ))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            name: tag.local_name().as_ref().to_owned(),
            attributes,
            ..Self::default()
        })
    }

    /// Its text without space around it.
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        (self.attributes.iter())
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.trim())
    }

    /// The elements directly within this one, in file order.
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// The elements of this name within this one, at any depth, in file order.
    pub fn all<'a>(&'a self, name: &str) -> Vec<&'a Self> {
        let mut found = Vec::new();
        self.collect(name, &mut found);
        found
    }

    fn collect<'a>(&'a self, name: &str, found: &mut Vec<&'a Self>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            child.collect(name, found);
        }
    }

    /// The first element of this name within this one.
    pub fn find(&self, name: &str) -> Option<&Self> {
        self.children
            .iter()
            .find_map(|child| match child.name == name {
                true => Some(child),
                false => child.find(name),
            })
    }
}

/// The innermost open element; the nameless one is never closed.
fn last(open: &mut Vec<Element>) -> &mut Element {
    if open.is_empty() {
        open.push(Element::default());
    }
    let innermost = open.len() - 1;
    &mut open[innermost]
}

fn finish(path: &Path, at: u64, mut open: Vec<Element>) -> Result<Element> {
    let innermost = open.pop().unwrap_or_default();
    if !open.is_empty() {
        let message = format!("broken XML: it ends within element `{}`", innermost.name);
        return Err(Error::format_at(path, at, message));
    }
    let mut roots = innermost.children.into_iter();
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root),
        _ => Err(Error::format_at(
            path,
            at,
            "broken XML: not one root element",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element> {
        Element::parse(Path::new("x.xml"), text.as_bytes())
    }

    #[test]
    fn prefixes_references_and_nesting() {
        let root = parse(
            "<?xml version='1.0'?><n:a xmlns:n='u'><!-- c --><b id='1&amp;2'> x &lt; &#65; </b>\
             <c><b id='2'/></c></n:a>",
        )
        .unwrap();
        assert_eq!(root.name, "a");
        let found: Vec<_> = (root.all("b").iter())
            .map(|b| (b.attribute("id").unwrap(), b.text()))
            .collect();
        assert_eq!(found, [("1&2", "x < A"), ("2", "")]);
        assert!(root.find("a").is_none());
    }

    #[test]
    fn broken_and_hostile_xml_is_an_error() {
        let deep = "<a>".repeat(100);
        for text in [
            "",
            "no xml",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&e;</a>",
            "<a b='&e;'/>",
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
            deep.as_str(),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("x.xml"), "{error}");
        }
        assert!(Element::parse(Path::new("x.xml"), b"<a>\xff</a>").is_err());
    }
}
