//! Classes that were not drawn: what is labelled clear may be one of them.

use ndarray::{ArrayView2, ArrayViewMut2};
use nephos_kernel::loss::either;

use super::Dataset;
use crate::class::Class;
use crate::config::LabelConfig;
use crate::error::Result;

impl LabelConfig {
    /// The classes that were not drawn in the sample of that name.
    pub fn undrawn(&self, sample: &str) -> Vec<usize> {
        (self.drawn.iter())
            .filter(|(_, samples)| !samples.iter().any(|name| name == sample))
            .filter_map(|(class, _)| class.parse().ok())
            .collect()
    }
}

impl Dataset {
    /// The classes of which pixels of sample `index` may be that are labelled clear.
    ///
    /// # Errors
    /// A label that can't be read, where it decides.
    pub(super) fn hidden(&self, index: usize) -> Result<Vec<usize>> {
        let undrawn = match self.part(index) {
            Some(part) if part.drawn => Vec::new(),
            _ => self.config.labels.undrawn(&self.name(index)),
        };
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
    let cloud = [Class::Thick as u8, Class::Thin as u8];
    if !label.iter().any(|code| cloud.contains(code)) {
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
}
