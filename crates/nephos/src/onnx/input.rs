//! From the numbers of a raster to the model's input.

use super::graph::{Attribute, Value};
use super::layers::{Builder, Window};
use super::options::OnnxOptions;
use crate::band;
use crate::config::DataConfig;
use crate::data::Inputs;
use crate::error::{Error, Result};

/// The bands of the graph's input, and what the model makes of them.
pub(super) struct Bands {
    /// Names, in the order of the input's channels.
    pub names: Vec<String>,
    /// For each band of the model, its channel; absent where the input has none.
    channels: Vec<Option<usize>>,
    /// Positions of the model's optional bands.
    optional: Vec<usize>,
}

impl Bands {
    /// The bands that the options name, or all of the model's.
    ///
    /// # Errors
    /// A name that is no band, is there twice or is none of the model's, or a band that is
    /// missing and not optional.
    pub fn of(options: &OnnxOptions, data: &DataConfig) -> Result<Self> {
        let names = options.bands.clone().unwrap_or_else(|| data.bands.clone());
        band::check_given(&names, &data.bands)?;
        let common: Vec<String> = names.iter().map(|name| band::canonical(name)).collect();
        let place = |name: &str| common.iter().position(|common| common == name);
        let find = |name: &str, substitute: bool| {
            let other = band::substitute(name).filter(|_| substitute);
            place(&band::canonical(name)).or_else(|| place(other?))
        };
        let inputs = Inputs::find(data, find).map_err(|name| {
            Error::usage(format!(
                "`options.bands`: the model needs {name}; its bands are {}, of which {} are optional",
                data.bands.join(", "),
                match data.optional_bands.is_empty() {
                    true => "none".to_owned(),
                    false => data.optional_bands.join(", "),
                }
            ))
        })?;
        let channels = inputs.found();
        if let Some(unused) = (0..names.len()).find(|channel| !channels.contains(&Some(*channel))) {
            return Err(Error::usage(format!(
                "`options.bands`: the model has no use for {}; its bands are {}",
                names[unused],
                data.bands.join(", ")
            )));
        }
        Ok(Self {
            names,
            channels,
            optional: data.optional_positions(),
        })
    }
}

impl Builder<'_> {
    /// The model's input: reflectance × its gain, 0 for bands that are absent, and a channel for
    /// each optional band that says whether it is. Numbers that are not a number are no data:
    /// an optional band is absent there, and without another band the pixel is 0 in all channels.
    ///
    /// # Shapes
    /// - x: `[batch, bands, rows, columns]`
    /// - output: `[batch, channels, rows, columns]`
    pub fn model_input(
        &mut self,
        x: &Value,
        bands: &Bands,
        options: &OnnxOptions,
        gain: f32,
    ) -> Value {
        let (inputs, count) = (bands.names.len(), bands.channels.len());
        let outputs = count + bands.optional.len();
        // Stored number × factor + shift is the model's input.
        let factor = f64::from(gain) / options.scale * options.divisor;
        let shift = f64::from(gain) / options.scale * options.offset;
        let missing = self.graph.node("IsNaN", &[x], &[]);
        let zero = self.graph.number((-shift / factor) as f32);
        let numbers = self.graph.node("Where", &[&missing, &zero, x], &[]);
        let missing = self
            .graph
            .node("Cast", &[&missing], &[Attribute::Int("to", 1)]);

        let mut scale = vec![0.0; outputs * inputs];
        let mut bias = vec![0.0; outputs];
        let mut gaps = vec![0.0; outputs * inputs];
        for (band, channel) in bands.channels.iter().enumerate() {
            if let Some(channel) = channel {
                scale[band * inputs + channel] = factor as f32;
                bias[band] = shift as f32;
            }
        }
        for (flag, band) in (count..).zip(&bands.optional) {
            match bands.channels[*band] {
                Some(channel) => gaps[flag * inputs + channel] = 1.0,
                None => bias[flag] = 1.0,
            }
        }
        let each = Window::same(1);
        let shape = [outputs, inputs, 1, 1];
        let scale = self.graph.constant("input.scale", &shape, &scale);
        let bias = self.graph.constant("input.bias", &[outputs], &bias);
        let mut input = self.conv_by(&numbers, [&scale, &bias], each, 1);
        if gaps.contains(&1.0) {
            let gaps = self.graph.constant("input.gaps", &shape, &gaps);
            let nothing = (self.graph).constant("input.nothing", &[outputs], &vec![0.0; outputs]);
            let absent = self.conv_by(&missing, [&gaps, &nothing], each, 1);
            input = self.add(&input, &absent);
        }
        let required = |band: &usize| !bands.optional.contains(band);
        let required = (0..count)
            .filter(required)
            .filter_map(|band| bands.channels[band]);
        let required: Vec<i64> = required.map(|channel| channel as i64).collect();
        let required = self.graph.integers(&required);
        let axis = [Attribute::Int("axis", 1)];
        let required = self.graph.node("Gather", &[&missing, &required], &axis);
        let axes = [Attribute::Ints("axes", &[1])];
        let invalid = self.graph.node("ReduceMax", &[&required], &axes);
        let one = self.graph.number(1.0);
        let valid = self.graph.node("Sub", &[&one, &invalid], &[]);
        self.graph.node("Mul", &[&input, &valid], &[])
    }
}
