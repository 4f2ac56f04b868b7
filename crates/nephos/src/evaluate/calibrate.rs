//! Calibration of a trained model on samples it was not trained on.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::ArrayView1;
use nephos_kernel::loss::Label;

use super::recall::curves;
use super::scaling::{Pixel, Scaling};
use crate::class::IGNORE;
use crate::config::{CalibrationConfig, ThresholdConfig};
use crate::data::Dataset;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::metrics::names;
use crate::predict::Model;
use crate::text;
use crate::weights::Bundle;

/// Pixels that are fitted on, at most: more do not change the result noticeably.
const MOST: usize = 400_000;

/// A bias that costs a class at most so much IoU is left out: what is likeliest is not always
/// what overlaps best. One that costs more means that labels and model disagree about what
/// the class is, and the fit is refused.
const MOST_LOST: f64 = 0.1;

/// Temperatures that a fit may end with.
const TEMPERATURES: std::ops::RangeInclusive<f64> = 0.2..=5.0;

/// A target recall of a group of classes.
#[derive(Debug, Clone, PartialEq)]
pub struct MinRecall {
    /// The classes, by code.
    pub classes: Vec<usize>,
    /// Share of their pixels that is to be found, in (0, 1).
    pub recall: f64,
}

/// How a calibration is fitted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fitting {
    /// Whether a temperature alone is fitted, which leaves the classes as they are.
    pub temperature_only: bool,
    /// A recall that a threshold is to reach.
    pub min_recall: Option<MinRecall>,
}

/// What [`calibrate`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// For the model's configuration.
    pub config: CalibrationConfig,
    /// Mean cross-entropy of the pixels that were fitted on, before and after, in nats.
    pub loss: [f64; 2],
    /// Why there is no bias for each class; `None` where there is one.
    pub no_bias: Option<String>,
    /// Pixels that were fitted on.
    pub pixels: usize,
    /// IoU of each class over them before and after, the threshold included; `None` for a
    /// class that is neither labelled nor predicted.
    pub iou: Vec<[Option<f64>; 2]>,
}

/// Fits temperature and, where it helps, a bias for each class on `dataset`, by
/// likelihood; then, where a recall is requested, the highest threshold that reaches it.
///
/// A bias is accepted if each half of the samples, scored by the fit of the other half, has
/// a lower loss with it, and if it makes no class's IoU worse. In a sample in which a class
/// was not annotated, that class is left out of the likelihood; a class that no pixel is
/// labelled as is left out everywhere, and gets no bias. Pixels are taken evenly over all
/// samples, at most 400 000.
///
/// # Errors
/// A sample that can't be read, labels that are no class of the model, too few labelled
/// pixels, a recall of classes that are not there, or a fit that shows that labels and
/// model don't mean the same: a bias beyond [`CalibrationConfig::MOST_BIAS`], one that costs
/// a class more than 0.1 of IoU, or a temperature outside 0.2 to 5. The message
/// names the class and the figures.
pub fn calibrate(
    bundle: &Bundle,
    dataset: &Dataset,
    device: &Device,
    fitting: &Fitting,
    mut progress: impl FnMut(&str),
) -> Result<Fit> {
    let classes = bundle.config.model.classes;
    let pixels = labelled_pixels(bundle, dataset, device, MOST, &mut progress)?;
    if pixels.len() < 100 {
        let message = format!(
            "{} too few to calibrate on",
            match pixels.len() {
                1 => "1 labelled pixel is".to_owned(),
                number => format!("{} are", text::count(number, "labelled pixel")),
            }
        );
        return Err(Error::format(dataset.path(), message));
    }
    let refused = |message: String| Error::format(dataset.path(), message);
    let before = Scaling::given(&bundle.config.calibration, classes);
    let Chosen { model, no_bias } =
        choose(&pixels, classes, &before, fitting.temperature_only).map_err(refused)?;
    let every = |_: &Pixel| true;
    let loss = |model: &Scaling| model.loss(&pixels, every).unwrap_or(f64::NAN);
    let mut config = CalibrationConfig {
        temperature: 1.0 / model.factor,
        bias: match &no_bias {
            None => model.bias.clone(),
            Some(_) => Vec::new(),
        },
        threshold: None,
        curves: curves(classes, |group| model.ranked(&pixels, group)),
    };
    if let Some(target) = &fitting.min_recall {
        let found = model
            .ranked(&pixels, &target.classes)
            .reaching(target.recall);
        let found = found.ok_or_else(|| {
            refused(
                "no pixel is labelled as the class of the requested recall \
                 (`options.min_recall`)"
                    .to_owned(),
            )
        })?;
        config.threshold = Some(ThresholdConfig {
            classes: target.classes.clone(),
            probability: found.probability,
            recall: Some(found.recall),
            by_user: false,
        });
    }
    let decided = |config: &CalibrationConfig| {
        let model = Scaling::given(config, classes);
        model.iou(&pixels, config.threshold.as_ref())
    };
    let iou = (decided(&bundle.config.calibration).into_iter())
        .zip(decided(&config))
        .map(|(before, after)| [before, after])
        .collect();
    Ok(Fit {
        loss: [loss(&Scaling::identity(classes)), loss(&model)],
        config,
        no_bias,
        pixels: pixels.len(),
        iou,
    })
}

/// The accepted fit.
struct Chosen {
    model: Scaling,
    /// See [`Fit::no_bias`].
    no_bias: Option<String>,
}

/// Fits on `pixels` of a model that decides as `before` does.
///
/// # Errors
/// In words, why every fit is rejected.
fn choose(
    pixels: &[Pixel],
    classes: usize,
    before: &Scaling,
    temperature_only: bool,
) -> std::result::Result<Chosen, String> {
    let every = |_: &Pixel| true;
    let start = Scaling::of_classes_in(pixels, classes);
    let half = |side: bool| move |pixel: &Pixel| pixel.half == side;
    let helps = || {
        [false, true].into_iter().all(|side| {
            let taught = |bias| start.fitted(pixels, half(side), bias);
            let held = |model: Scaling| model.loss(pixels, half(!side));
            match (held(taught(true)), held(taught(false))) {
                (Some(with), Some(without)) => with < without,
                _ => false,
            }
        })
    };
    let alone = |why: String| {
        let model = start.fitted(pixels, every, false).of_all_classes();
        check_temperature(&model)?;
        // Only a model that carries a bias already can lose by that.
        if let Some((class, before, after)) = worst(before, &model, pixels) {
            return Err(format!(
                "calibration refused: without the bias that the model carries the IoU of {} on \
                 these samples goes from {before:.4} to {after:.4}",
                names(classes)[class]
            ));
        }
        Ok(Chosen {
            model,
            no_bias: Some(why),
        })
    };
    if temperature_only {
        return alone("a temperature alone was asked for".to_owned());
    }
    if !helps() {
        return alone("a bias for each class did not help".to_owned());
    }
    let model = start.fitted(pixels, every, true).of_all_classes();
    check_temperature(&model)?;
    let names = names(classes);
    if let Some((class, bias)) = (model.bias.iter().enumerate())
        .find(|(_, bias)| bias.abs() > CalibrationConfig::MOST_BIAS || bias.is_nan())
    {
        return Err(disagreement(&format!(
            "the likeliest bias of {} is {bias:.2}, and at most ±{} is allowed ({} of {} labelled \
             as it)",
            names[class],
            CalibrationConfig::MOST_BIAS,
            pixels.iter().filter(|pixel| pixel.label.has(class)).count(),
            text::count(pixels.len(), "pixel"),
        )));
    }
    match worst(before, &model, pixels) {
        Some((class, before, after)) => {
            let reason = format!(
                "a bias for each class would take the IoU of {} on these samples from {before:.4} \
                 to {after:.4}",
                names[class]
            );
            match before - after > MOST_LOST {
                true => Err(disagreement(&reason)),
                false => alone(reason),
            }
        }
        None => Ok(Chosen {
            model,
            no_bias: None,
        }),
    }
}

/// The class whose IoU over `pixels` `after` makes worst against `before`, with both; `None`
/// where it makes none worse.
fn worst(before: &Scaling, after: &Scaling, pixels: &[Pixel]) -> Option<(usize, f64, f64)> {
    let after = after.iou(pixels, None);
    (before.iou(pixels, None).into_iter().zip(after).enumerate())
        .filter_map(|(class, (before, after))| Some((class, before?, after?)))
        .filter(|(_, before, after)| after < before)
        .max_by(|a, b| (a.1 - a.2).total_cmp(&(b.1 - b.2)))
}

/// The message of a fit that is refused because of `what`.
fn disagreement(what: &str) -> String {
    format!(
        "calibration refused: {what}. Labels and model don't mean the same by it; is the class \
         annotated in all of these samples (else data.labels.annotated_in names those in which it \
         is)? `options.temperature_only` fits a temperature alone, which leaves the classes as \
         they are"
    )
}

fn check_temperature(model: &Scaling) -> std::result::Result<(), String> {
    let temperature = 1.0 / model.factor;
    match TEMPERATURES.contains(&temperature) {
        true => Ok(()),
        false => Err(format!(
            "calibration refused: the likeliest temperature is {temperature:.3}, and {} to {} are \
             allowed: {}",
            TEMPERATURES.start(),
            TEMPERATURES.end(),
            match temperature < 1.0 {
                true => "the labels follow the model as if it had made them",
                false => "the model's scores are unrelated to these labels",
            }
        )),
    }
}

/// The temperature that makes pixels likeliest.
pub(crate) fn temperature(pixels: &[Pixel]) -> f64 {
    let classes = pixels.first().map_or(0, |pixel| pixel.scores.len());
    1.0 / Scaling::identity(classes)
        .fitted(pixels, |_| true, false)
        .factor
}

/// Labelled pixels with their scores, evenly over all samples, about `most`.
pub(crate) fn labelled_pixels(
    bundle: &Bundle,
    dataset: &Dataset,
    device: &Device,
    most: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Pixel>> {
    let model = &bundle.config.model;
    let predictor = Model::new(bundle.clone(), device)?;
    let per_sample = most.div_ceil(dataset.len().max(1));
    let mut pixels = Vec::new();
    for index in 0..dataset.len() {
        let example = dataset.get(index)?;
        let scores = predictor.class_scores(&example.image, &example.valid)?;
        let unannotated: Arc<[usize]> = dataset.unannotated(index).into();
        let labelled: Vec<_> = (example.label.indexed_iter())
            .filter(|(_, label)| **label != IGNORE)
            .collect();
        let step = labelled.len().div_ceil(per_sample).max(1);
        for ((row, col), label) in labelled.into_iter().step_by(step) {
            let Some(label) = Label::of(*label) else {
                continue;
            };
            let class = label.last();
            if class >= model.classes {
                return Err(Error::format(
                    dataset.path(),
                    format!(
                        "sample {}: label {class} is no class of the model",
                        example.name
                    ),
                ));
            }
            let of_pixel: ArrayView1<'_, f32> = scores.slice(ndarray::s![.., row, col]);
            pixels.push(Pixel {
                scores: of_pixel.iter().copied().map(f64::from).collect(),
                label,
                half: index % 2 == 1,
                unannotated: unannotated.clone(),
            });
        }
        progress(&example.name);
    }
    Ok(pixels)
}

/// The classes that a name means: `cloud` for thick and thin cloud, else one class
/// as [`names`](crate::metrics::names) has it, with `-` or `_` for a blank.
///
/// # Errors
/// A name of no class.
pub fn class_group(name: &str, classes: usize) -> Result<Vec<usize>> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], " ");
    let names = names(classes);
    let mut groups: BTreeMap<String, Vec<usize>> = (names.iter().enumerate())
        .map(|(code, name)| (plain(name), vec![code]))
        .collect();
    if classes == crate::class::CLASS_COUNT {
        groups.insert("cloud".to_owned(), vec![1, 2]);
    }
    let known: Vec<String> = groups.keys().map(|name| name.replace(' ', "-")).collect();
    groups.remove(&plain(name)).ok_or_else(|| {
        Error::usage(format!(
            "`{name}` is no class; there are {}",
            known.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::scaling::tests::overconfident;
    use super::*;

    #[test]
    fn a_bias_that_makes_a_class_worse_is_left_out() {
        // Half of the likeliest bias goes against class 1, which is found less: by hand its
        // IoU goes from 0.478 to 0.421.
        let pixels = overconfident([0.7, -0.1]);
        let plain = Scaling::identity(2);
        let chosen = choose(&pixels, 2, &plain, false).unwrap();
        let why = chosen.no_bias.unwrap();
        assert!(
            why.contains("the IoU of class 1 on these samples from 0.4"),
            "{why}"
        );
        assert_eq!(chosen.model.bias, [0.0, 0.0]);
        assert_eq!(chosen.model.iou(&pixels, None), plain.iou(&pixels, None));
    }

    #[test]
    fn a_bias_beyond_the_bound_is_refused_by_name() {
        // The third class is right wherever the model is all but sure that it is not.
        let mut pixels = overconfident([0.0, 0.0]);
        for (index, pixel) in pixels.iter_mut().enumerate() {
            pixel.scores.push(-16.0);
            if index % 21 == 0 {
                pixel.label = Label::Class(2);
            }
        }
        let Err(error) = choose(&pixels, 3, &Scaling::identity(3), false) else {
            panic!("a bias of some 10 was accepted");
        };
        assert!(
            error.contains("bias of class 2 is") && error.contains("±3"),
            "{error}"
        );
        assert!(error.contains("`options.temperature_only`"), "{error}");
    }

    #[test]
    fn a_temperature_without_sense_is_refused() {
        let plain = Scaling::identity(2);
        let refused = |pixels: &[Pixel]| match choose(pixels, 2, &plain, true) {
            Err(error) => error,
            Ok(chosen) => panic!("{:?}", chosen.model),
        };
        // Labels by a coin, and those of the model itself.
        let mut pixels = overconfident([0.0, 0.0]);
        for (index, pixel) in pixels.iter_mut().enumerate() {
            pixel.label = Label::Class(index / 2 % 2);
        }
        assert!(refused(&pixels).contains("unrelated to these labels"));
        for pixel in &mut pixels {
            pixel.label = Label::Class(usize::from(pixel.scores[0] < 0.0));
        }
        assert!(refused(&pixels).contains("as if it had made them"));
    }

    /// Pixels of three classes: the rarer third is likelier than the model says nowhere, and
    /// a bias that lowers it makes all likelier and loses it.
    fn rare(shown: u32) -> Vec<Pixel> {
        let mut pixels = Vec::new();
        for copy in 0..2000u32 {
            let class = match copy % 100 {
                place if place < shown => 2,
                90.. => ((copy + 1) % 2) as usize,
                _ => (copy % 2) as usize,
            };
            let mut scores = vec![0.0, 0.0, 0.0];
            scores[(copy % 2) as usize] = 2.0;
            // Said of a fifth of all pixels, which hold all that are of it.
            if copy % 100 < 20 {
                scores[2] = 2.2;
            }
            pixels.push(Pixel {
                scores,
                label: Label::Class(class),
                half: copy % 4 < 2,
                unannotated: Arc::default(),
            });
        }
        pixels
    }

    #[test]
    fn a_bias_that_loses_a_class_is_refused_with_its_figures() {
        let pixels = rare(8);
        let plain = Scaling::identity(3);
        let before = plain.iou(&pixels, None)[2].unwrap();
        assert!((before - 0.4).abs() < 1e-9, "{before}");
        let Err(error) = choose(&pixels, 3, &plain, false) else {
            panic!("a bias that loses class 2 was accepted");
        };
        assert!(
            error.contains("the IoU of class 2 on these samples from 0.4000 to 0.0000"),
            "{error}"
        );
        // A temperature leaves the classes as they are.
        let alone = choose(&pixels, 3, &plain, true).unwrap();
        assert_eq!(alone.model.iou(&pixels, None)[2], Some(before));
    }

    #[test]
    fn names_of_classes_and_of_cloud() {
        assert_eq!(class_group("cloud", 4).unwrap(), [1, 2]);
        assert_eq!(class_group("thin-cloud", 4).unwrap(), [2]);
        let error = class_group("snow", 4).unwrap_err().to_string();
        assert!(error.contains("thick-cloud"), "{error}");
    }
}
