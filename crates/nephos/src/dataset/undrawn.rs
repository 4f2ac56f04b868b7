//! Classes that were not drawn: what is labelled clear may be one of them.

use std::collections::BTreeSet;
use std::fmt::Display;

use ndarray::{ArrayView2, ArrayViewMut2};
use nephos_kernel::loss::{Label, either};

use super::Dataset;
use crate::class::Class;
use crate::config::LabelConfig;
use crate::error::Result;

impl LabelConfig {
    /// Whether `drawn` was written for samples of which these are the names: one of them is
    /// listed, or no name is, which says that the class was drawn in no sample at all.
    pub fn is_about<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        let mut listed = self.drawn.values().flatten().peekable();
        if listed.peek().is_none() {
            return true;
        }
        let listed: BTreeSet<&str> = listed.map(String::as_str).collect();
        names.any(|name| listed.contains(name))
    }

    /// What is said where `drawn` is not about the samples of `container`.
    pub fn not_about(&self, container: impl Display) -> String {
        let listed: usize = self.drawn.values().map(Vec::len).sum();
        format!(
            "data.labels.drawn does not count in {container}: {}. Where \
             a class was drawn in no sample, an empty list says so",
            match listed {
                1 => "the name that it lists is no sample's".to_owned(),
                number => format!("none of the {number} names that it lists is a sample's"),
            }
        )
    }

    /// The classes that were not drawn in the sample of that name.
    pub fn undrawn(&self, sample: &str) -> Vec<usize> {
        (self.drawn.iter())
            .filter(|(_, samples)| !samples.iter().any(|name| name == sample))
            .filter_map(|(class, _)| class.parse().ok())
            .collect()
    }
}

impl Dataset {
    /// The classes that were not drawn in sample `index`, as `data.labels.drawn` says where
    /// it is about the container that holds the sample.
    pub fn unannotated(&self, index: usize) -> Vec<usize> {
        self.annotation(index).undrawn(&self.name(index))
    }

    /// The classes of which pixels of sample `index` may be that are labelled clear.
    ///
    /// # Errors
    /// A label that can't be read, where it decides.
    pub(super) fn hidden(&self, index: usize) -> Result<Vec<usize>> {
        let undrawn = self.unannotated(index);
        if undrawn.is_empty() {
            return Ok(undrawn);
        }
        Ok(match self.label(index)? {
            Some(label) => hidden(undrawn, label.view()),
            None => undrawn,
        })
    }
}

/// Of the classes that were not drawn in a sample, those that can be there: where there is
/// no cloud, nothing casts a shadow. `label` is that of the whole sample.
pub(crate) fn hidden(mut undrawn: Vec<usize>, label: ArrayView2<'_, u8>) -> Vec<usize> {
    let cloud = [Class::Thick as usize, Class::Thin as usize];
    let cloudy = |code: &u8| {
        let label = Label::of(*code);
        label.is_some_and(|label| cloud.iter().any(|class| label.has(*class)))
    };
    if !label.iter().any(cloudy) {
        undrawn.retain(|class| *class != Class::Shadow as usize);
    }
    undrawn
}

/// Labels what is clear as clear or one of the classes in `undrawn`, of `classes`, as
/// [`nephos_kernel::loss::Label`] reads it.
pub(crate) fn leave_open(mut label: ArrayViewMut2<'_, u8>, undrawn: &[usize], classes: usize) {
    let clear = Class::Clear as usize;
    let mut may: Vec<usize> = vec![clear];
    may.extend(undrawn.iter().copied().filter(|class| *class < classes));
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
    fn what_is_clear_is_left_open() {
        let mut label = array![[0, 1], [3, 255]];
        leave_open(label.view_mut(), &[7], 4);
        assert_eq!(label, array![[0, 1], [3, 255]], "no class of four");
        leave_open(label.view_mut(), &[3], 4);
        assert_eq!(label, array![[128 + 1 + 8, 1], [3, 255]]);
    }

    #[test]
    fn nothing_casts_a_shadow_where_there_is_no_cloud() {
        assert_eq!(hidden(vec![2, 3], array![[0, 255]].view()), [2]);
        assert_eq!(hidden(vec![2, 3], array![[0, 2]].view()), [2, 3]);
    }

    #[test]
    fn what_is_not_listed_was_drawn() {
        let mut labels = LabelConfig::default();
        assert!(labels.undrawn("a").is_empty());
        labels.drawn.insert("3".to_owned(), vec!["a".to_owned()]);
        assert!(labels.undrawn("a").is_empty());
        assert_eq!(labels.undrawn("b"), [3]);
    }

    #[test]
    fn names_are_about_the_samples_that_have_them() {
        let mut labels = LabelConfig::default();
        let about = |labels: &LabelConfig, names: &[&str]| labels.is_about(names.iter().copied());
        assert!(about(&labels, &["x"]));
        labels.drawn.insert("3".to_owned(), Vec::new());
        assert!(about(&labels, &["x"]), "in no sample at all");
        labels.drawn.insert("2".to_owned(), vec!["a".to_owned()]);
        assert!(about(&labels, &["x", "a"]));
        assert!(!about(&labels, &["x", "A", ""]));
        let told = labels.not_about("b.pkl");
        assert!(told.contains("does not count in b.pkl: the name"), "{told}");
    }
}
