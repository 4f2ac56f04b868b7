//! Clouds of one sample, with their shadows, over another.
//!
//! The label of the source says where its clouds are. Thick cloud covers what is below
//! it. Thin cloud takes a share of the ground's light, its opacity, and adds its own:
//! `seen = (1 − opacity) · ground + light`; the opacity is how much brighter the cloud
//! is in blue than the clear ground around it, against a cloud that hides the ground.
//! Shadow dims each band by the ratio of what is seen in it to the clear ground around
//! it. Edges are soft; cloud and shadow keep their places to each other.

use ndarray::Array2;
use nephos_kernel::loss::Label;

use super::smooth::Smoothing;
use super::view::View;
use crate::band;
use crate::class::{Class, IGNORE};
use crate::data::{Example, teacher};

/// Standard deviation of the surroundings whose clear pixels are the ground, in pixels.
const AROUND: f64 = 12.0;

/// Least weight of clear pixels around; with less, the mean of all clear pixels counts.
const LEAST_CLEAR: f32 = 0.02;

/// Least reflectance of a cloud that hides the ground.
const OPAQUE: f32 = 0.5;

/// How much brighter than the ground such a cloud must be for an opacity to be estimated.
const LEAST_CONTRAST: f32 = 0.05;

/// Least that a thin cloud hides: with less it can't be seen, and the source's border is
/// coarse.
const LEAST_OPACITY: f32 = 0.03;

/// Most that a thin cloud hides, and least that a shadow leaves.
const MOST_OPACITY: f32 = 0.95;
const LEAST_LIGHT: f32 = 0.15;

/// Standard deviation over which thin cloud is evened out, so that the source's ground
/// does not shine through, in pixels.
const EVEN: f64 = 1.5;

/// Pastes clouds and shadows of `source` over the sample, where it is valid.
///
/// Labels: thick cloud goes before thin cloud, cloud before shadow; shadow falls on clear
/// ground alone, and ignored pixels stay ignored. Bands that the source lacks, wholly or in
/// some pixels, are declared absent.
///
/// # Shapes
/// - source: bands and size of the sample
pub(crate) fn paste(view: &mut View<'_>, source: &Example, edge: f64) {
    let mut masks = [Class::Thick, Class::Thin, Class::Shadow].map(|class| {
        let code = class as u8;
        source
            .label
            .mapv(|label| if label == code { 1.0 } else { 0.0 })
    });
    let clear = (source.label).mapv(|label| {
        if label == Class::Clear as u8 {
            1.0
        } else {
            0.0
        }
    });
    for band in 0..view.bands() {
        let lacks = || {
            (source.image.index_axis(ndarray::Axis(0), band))
                .iter()
                .any(|v| v.is_nan())
        };
        if !view.example.absent[band] && (source.absent[band] || lacks()) {
            (view.example.image.index_axis_mut(ndarray::Axis(0), band)).fill(0.0);
            view.example.absent[band] = true;
        }
    }
    let there: Vec<usize> = (0..view.bands())
        .filter(|band| !view.example.absent[*band])
        .collect();
    let plane = |band: usize| source.image.index_axis(ndarray::Axis(0), band).to_owned();
    let ground = Ground::new(&clear);
    let opacity = brightest(view).and_then(|band| {
        opacity(
            &plane(band),
            &ground.as_ref()?.below(&plane(band)),
            &masks,
            view.unit,
        )
    });
    // A veil that can't be seen is none.
    let hides = |at| {
        opacity
            .as_ref()
            .is_some_and(|opacity| opacity[at] >= LEAST_OPACITY)
    };
    for (at, thin) in masks[1].indexed_iter_mut() {
        if !hides(at) {
            *thin = 0.0;
        }
    }
    let ones = Array2::ones(clear.dim());
    let even = Smoothing::gaussian(&ones, edge);
    let soft = masks.each_ref().map(|mask| even.of(mask));
    let [thick, thin, shadow] = &masks;
    let [over_thick, over_thin, over_shadow] = &soft;
    let open = view.example.label.mapv(|label| label == Class::Clear as u8);
    // Beyond a mask's border its nearest pixels are repeated.
    let beyond = (2.0 * edge).max(EVEN);
    let [on_thick, on_thin, on_shadow] = masks.each_ref().map(|mask| {
        // Nothing is pasted from a mask without pixels.
        mask.iter()
            .any(|share| *share > 0.0)
            .then(|| Smoothing::gaussian(mask, beyond))
    });
    for band in there {
        let seen = plane(band);
        let ground = ground.as_ref().map(|ground| ground.below(&seen));
        if let (Some(ground), Some(on_shadow)) = (&ground, &on_shadow)
            && view.reflects(band)
        {
            let ratio = ndarray::Zip::from(&seen)
                .and(ground)
                .map_collect(|seen, ground| {
                    (seen / ground.max(f32::MIN_POSITIVE)).clamp(LEAST_LIGHT, 1.0)
                });
            let wider = on_shadow.of(&ratio);
            view.each(band, |value, at| {
                if !open[at] {
                    return value;
                }
                let ratio = if shadow[at] > 0.0 {
                    ratio[at]
                } else {
                    wider[at]
                };
                value * (1.0 + over_shadow[at] * (ratio - 1.0))
            });
        }
        if let (Some(ground), Some(opacity), Some(on_thin)) = (&ground, &opacity, &on_thin) {
            let light = &seen - &(ground * &opacity.mapv(|opacity| 1.0 - opacity));
            let light = on_thin.of(&light);
            view.each(band, |value, at| {
                let under = (1.0 - opacity[at]) * value + light[at].max(0.0);
                value + over_thin[at] * (under - value)
            });
        }
        if let Some(on_thick) = &on_thick {
            let wider = on_thick.of(&seen);
            view.each(band, |value, at| {
                let cloud = if thick[at] > 0.0 { seen[at] } else { wider[at] };
                value + over_thick[at] * (cloud - value)
            });
        }
    }
    for (at, target) in view.example.label.indexed_iter_mut() {
        *target = merged(*target, source.label[at], thin[at] > 0.0);
    }
    // The teacher saw the sample without these clouds.
    if let Some(probabilities) = &mut view.example.teacher {
        let covered = Array2::from_shape_fn(view.example.label.dim(), |at| {
            soft.iter().any(|share| share[at] > 0.0)
        });
        teacher::remove(probabilities, &covered);
    }
}

/// The class where `source` covers `target`; thin cloud counts where it is `seen`.
fn merged(target: u8, source: u8, seen: bool) -> u8 {
    let [clear, thick, thin, shadow] = Class::ALL.map(|class| class as u8);
    match (target, source) {
        (IGNORE, _) => IGNORE,
        (_, source) if source == thick => thick,
        (target, source) if source == thin && seen && !may_be(target, thick) => thin,
        (target, source) if source == shadow && target == clear => shadow,
        _ => target,
    }
}

/// Whether a pixel of that label may have the class.
fn may_be(label: u8, class: u8) -> bool {
    Label::of(label).is_some_and(|label| label.has(usize::from(class)))
}

/// The band in which clouds have the highest contrast to the ground: the shortest wave of blue,
/// green and red, else the first that reflects.
fn brightest(view: &View<'_>) -> Option<usize> {
    let named = ["blue", "green", "red"].iter().find_map(|requested| {
        (0..view.bands()).find(|place| {
            view.reflects(*place) && band::canonical(&view.names[*place]) == *requested
        })
    });
    named.or_else(|| (0..view.bands()).find(|band| view.reflects(*band)))
}

/// The clear ground around each pixel.
struct Ground<'a> {
    clear: &'a Array2<f32>,
    count: f32,
    around: Smoothing<'a>,
}

impl<'a> Ground<'a> {
    /// `None` where nothing is clear.
    fn new(clear: &'a Array2<f32>) -> Option<Self> {
        let count = clear.sum();
        (count > 0.0).then(|| Self {
            clear,
            count,
            around: Smoothing::wide(clear, AROUND),
        })
    }

    /// In one band.
    fn below(&self, seen: &Array2<f32>) -> Array2<f32> {
        let mean = (seen * self.clear).sum() / self.count;
        let mut ground = self.around.of(seen);
        ground.zip_mut_with(self.around.total(), |ground, weight| {
            if *weight < LEAST_CLEAR {
                *ground = mean;
            }
        });
        ground
    }
}

/// Opacity of thin cloud, evened out and continued beyond its border; `None` where the
/// ground is as bright as clouds are.
fn opacity(
    seen: &Array2<f32>,
    ground: &Array2<f32>,
    [thick, thin, _]: &[Array2<f32>; 3],
    unit: f32,
) -> Option<Array2<f32>> {
    let pixels = thin.sum();
    if pixels == 0.0 {
        return None;
    }
    let covered = thick.sum();
    let cloud = if covered > 0.0 {
        (seen * thick).sum() / covered
    } else {
        0.0
    };
    let cloud = cloud.max(OPAQUE * unit);
    let below = (ground * thin).sum() / pixels;
    if cloud - below < LEAST_CONTRAST * unit {
        return None;
    }
    let opacity = ndarray::Zip::from(seen)
        .and(ground)
        .map_collect(|seen, ground| {
            let contrast = (cloud - ground).max(LEAST_CONTRAST * unit);
            ((seen - ground) / contrast).clamp(0.0, MOST_OPACITY)
        });
    Some(Smoothing::gaussian(thin, EVEN).of(&opacity))
}
