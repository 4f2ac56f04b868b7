//! A Vision Transformer (Dosovitskiy et al. 2021) of `timm` or `transformers` as the
//! encoder of a network.
//!
//! Such a ViT is an encoder with `norm = "pre"`, `activation = "gelu"`,
//! `final_norm = true` and patches without padding, over one token more, which is
//! dropped: its attention weight then goes to the patches.

mod file;
mod names;
mod patches;
mod positions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use self::file::{File, Numbers};
use self::names::{LAYERS, Naming};
use super::bundle::check_digest;
use super::safetensors;
use super::tensors::read;
use crate::config::{Activation, Config, NormOrder, PositionKind};
use crate::error::{Error, Result};
use crate::text;
use crate::weights::torch::NamedTensor;
use crate::weights::{Parameters, check_network};

/// How a ViT's tensors were used, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer {
    /// What the network has from the file, and how.
    pub taken: Vec<String>,
    /// Parts of the network that keep their random start.
    pub fresh: Vec<String>,
    /// What the file has and the network has not, and why.
    pub unused: Vec<String>,
    /// What the file does not state and the configuration decides.
    pub assumed: Vec<String>,
}

/// The initial weights of a network of `config`, under PyTorch's names, from the file at `path`:
/// all of them from a bundle, `.pth` or `.safetensors` under nephos' names, all but the last layer
/// from a network that was pre-trained without labels, or the encoder alone from a ViT of
/// `timm` or `transformers`. Of the last two the rest is drawn by `config.seed`, and the
/// transferred parts are returned.
///
/// The patch embedding is taken where there is no stem and patches have the same size;
/// for another number of bands each has the sum of the file's divided by that number, so
/// that grey images keep their tokens. Learned positions are interpolated bilinearly.
/// LayerScale is multiplied into the linear layers before it.
///
/// # Errors
/// The file can't be read or is broken; weights or a ViT that does not fit: the message
/// lists every key and tensor that does not.
pub fn initial(config: &Config, path: &Path) -> Result<(Vec<NamedTensor>, Option<Transfer>)> {
    let tensors = read(path)?;
    let (model, channels) = (&config.model, config.channels());
    check_network(model, channels)?;
    if !model.kind.is_graph_transformer() {
        let names: Vec<&str> = tensors.iter().map(|(name, _, _)| name.as_str()).collect();
        return match Naming::of(&names) {
            // What a baseline consists of is known where it is computed.
            None => Ok((tensors, None)),
            Some(_) => Err(not_fitting(path, &[of_baseline(config)])),
        };
    }
    let apply = |tensors| Parameters::check_torch(model, channels, tensors, path);
    let fresh = || Parameters::draw(model, channels, config.seed).into_torch();
    let names: Vec<&str> = tensors.iter().map(|(name, _, _)| name.as_str()).collect();
    let Some((naming, prefix)) = Naming::of(&names) else {
        return match pretrained_classes(path)? {
            None => Ok((apply(tensors)?, None)),
            Some(bands) => {
                let (merged, transfer) = without_head(fresh(), tensors, [bands, model.classes]);
                Ok((apply(merged)?, Some(transfer)))
            }
        };
    };
    let prefix = prefix.to_owned();
    let mut file = File::sort(naming, &prefix, tensors);
    let problems = misfits(&file, config);
    if !problems.is_empty() {
        return Err(not_fitting(path, &problems));
    }
    let mut transfer = Transfer::default();
    let mut found = taken(&mut file, config, &mut transfer);
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    let merge = |(name, shape, values): NamedTensor| match found.remove(&name) {
        Some((shape, values)) => (name, shape, values),
        None => {
            *left.entry(part(&name).to_owned()).or_default() += 1;
            (name, shape, values)
        }
    };
    let weights = apply(fresh().into_iter().map(merge).collect())?;
    transfer.fresh = (left.iter())
        .map(|(part, count)| format!("{part} ({})", text::count(*count, "tensor")))
        .collect();
    Ok((weights, Some(transfer)))
}

/// The number of channels that a pre-trained network predicts, in place of classes: `None` where
/// the file is of another kind.
fn pretrained_classes(path: &Path) -> Result<Option<usize>> {
    let Ok((tensors, metadata)) = safetensors::read(path) else {
        return Ok(None);
    };
    check_digest(path, &metadata, &tensors)?;
    let Some(text) = metadata.get("config") else {
        return Ok(None);
    };
    let config = Config::parse(text, &path.display().to_string(), &[])?;
    Ok(config.pretraining().map(|_| config.model.classes))
}

/// A network with all of `tensors` but the layer that predicts the bands of masked pixels:
/// that for classes keeps its random start (unless there are as many bands as classes, when
/// the two can't be distinguished).
fn without_head(
    fresh: Vec<NamedTensor>,
    tensors: Vec<NamedTensor>,
    [bands, classes]: [usize; 2],
) -> (Vec<NamedTensor>, Transfer) {
    let mut own: BTreeMap<String, NamedTensor> = (fresh.into_iter())
        .map(|tensor| (tensor.0.clone(), tensor))
        .collect();
    let is_head = |name: &str, shape: &[usize], own: &NamedTensor| {
        let last = name.rsplit('.').next();
        matches!(last, Some("weight" | "bias"))
            && shape.first() == Some(&bands)
            && own.1.first() == Some(&classes)
            && shape.get(1..) == own.1.get(1..)
            && shape != own.1
    };
    let mut random = Vec::new();
    let merged = (tensors.into_iter())
        .map(|tensor| match own.remove(&tensor.0) {
            Some(own) if is_head(&tensor.0, &tensor.1, &own) => {
                random.push(own.0.clone());
                own
            }
            _ => tensor,
        })
        .collect();
    let transfer = Transfer {
        taken: vec!["a network that was pre-trained without labels".to_owned()],
        fresh: random,
        ..Transfer::default()
    };
    (merged, transfer)
}

/// The error of a ViT that is of another network.
fn not_fitting(path: &Path, problems: &[String]) -> Error {
    let problems = problems.join("\n  ");
    Error::format(
        path,
        format!("the ViT does not fit the model:\n  {problems}"),
    )
}

fn of_baseline(config: &Config) -> String {
    format!(
        "model.kind is \"{}\", which has no encoder of a ViT, expected \"segmenter\"",
        config.model.kind.name()
    )
}

/// Where the file and the configuration contradict each other.
fn misfits(file: &File, config: &Config) -> Vec<String> {
    let mut problems = file.problems.clone();
    let (model, encoder) = (&config.model, &config.model.encoder);
    if encoder.norm != NormOrder::Pre {
        problems.push("model.encoder.norm is \"post\", expected \"pre\"".to_owned());
    }
    if encoder.activation != Activation::Gelu {
        problems.push("model.encoder.activation is \"relu\", expected \"gelu\"".to_owned());
    }
    let depth = file.depth();
    if encoder.depth != depth {
        let is = encoder.depth;
        problems.push(format!(
            "model.encoder.depth is {is}, expected {depth}, the layers of the file"
        ));
    }
    let first = |name: &str| format!("{LAYERS}0.{name}");
    for (key, value, found) in [
        (
            "model.patch.width",
            model.patch.width,
            file.axis(&first("norm1.weight"), 0),
        ),
        (
            "model.encoder.feed_forward",
            encoder.feed_forward,
            file.axis(&first("linear1.weight"), 0),
        ),
    ] {
        if let Some((size, name)) = found.filter(|(size, _)| *size != value) {
            problems.push(format!("{key} is {value}, expected {size}, as {name} has"));
        }
    }
    // With other sizes every tensor would be named once more.
    if problems.is_empty() {
        let (width, hidden) = (model.patch.width, encoder.feed_forward);
        for layer in 0..depth {
            for (name, shape) in shapes(width, hidden) {
                let ours = format!("{LAYERS}{layer}.{name}");
                match file.tensors.get(&ours) {
                    None => problems.push(format!("layer {layer} lacks what nephos calls {name}")),
                    Some((theirs, found, _)) if *found != shape => problems.push(format!(
                        "{theirs}, in nephos {name}, is {found:?}, expected {shape:?}"
                    )),
                    Some(_) => {}
                }
            }
        }
    }
    problems
}

/// Names and shapes of the tensors of a layer in nephos.
fn shapes(width: usize, hidden: usize) -> [(&'static str, Vec<usize>); 12] {
    [
        ("norm1.weight", vec![width]),
        ("norm1.bias", vec![width]),
        ("self_attn.in_proj_weight", vec![3 * width, width]),
        ("self_attn.in_proj_bias", vec![3 * width]),
        ("self_attn.out_proj.weight", vec![width, width]),
        ("self_attn.out_proj.bias", vec![width]),
        ("norm2.weight", vec![width]),
        ("norm2.bias", vec![width]),
        ("linear1.weight", vec![hidden, width]),
        ("linear1.bias", vec![hidden]),
        ("linear2.weight", vec![width, hidden]),
        ("linear2.bias", vec![width]),
    ]
}

/// What the network takes, by nephos' names: shapes and numbers.
fn taken(file: &mut File, config: &Config, transfer: &mut Transfer) -> BTreeMap<String, Numbers> {
    let encoder = &config.model.encoder;
    let mut found = BTreeMap::new();
    match patches::take(file, config) {
        Ok(([weight, bias], how)) => {
            found.insert("block12.patch_embed.proj.weight".to_owned(), weight);
            found.insert("block12.patch_embed.proj.bias".to_owned(), bias);
            transfer.taken.push(how);
        }
        Err(why) => transfer.unused.push(why),
    }
    match positions::take(file, &config.model) {
        Ok((embedding, how)) => {
            found.insert("block12.position.embedding".to_owned(), embedding);
            transfer.taken.push(how);
        }
        Err(why) => {
            if file.positions.is_some() || encoder.position == PositionKind::Learned {
                transfer.unused.push(why);
            }
        }
    }
    transfer.taken.push(text::count(encoder.depth, "layer"));
    let mut final_norm = false;
    for (ours, (theirs, shape, values)) in std::mem::take(&mut file.tensors) {
        if ours.starts_with(LAYERS) {
            found.insert(ours, (shape, values));
        } else if encoder.final_norm {
            found.insert(ours, (shape, values));
            final_norm = true;
        } else {
            (transfer.unused).push(format!("{theirs}: model.encoder.final_norm is false"));
        }
    }
    if final_norm {
        transfer
            .taken
            .push("the norm after the last layer".to_owned());
    }
    for (name, _, _) in &file.tokens {
        transfer
            .unused
            .push(format!("{name}: nephos has tokens of patches alone"));
    }
    transfer.unused.append(&mut file.unused);
    transfer.assumed = vec![
        format!("model.encoder.heads = {}", encoder.heads),
        format!("model.encoder.norm_eps = {:e}", encoder.norm_eps),
    ];
    found
}

/// The part of the network that the tensor called `name` in nephos belongs to.
fn part(name: &str) -> &str {
    let start = match name.strip_prefix("block12.") {
        Some(rest) => rest.strip_prefix("transformer.").unwrap_or(rest),
        None => name,
    };
    let depth = if start.starts_with("encoder.") { 2 } else { 1 };
    let end = start.match_indices('.').nth(depth - 1);
    end.map_or(start, |(end, _)| &start[..end])
}
