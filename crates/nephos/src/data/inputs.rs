//! Which channels of a source are a model's bands, and which bands are declared
//! absent.

use ndarray::{Array3, s};

use super::gaps;
use crate::band;
use crate::config::DataConfig;
use crate::error::Result;
use crate::scene::SceneInfo;

/// Positions of a model's bands in one source.
///
/// The model's input is its bands, 0 where one is absent, then a channel for each
/// optional band: 1 where the band is absent, 0 where it is there. A band may be absent
/// from single pixels. Pixels without data are 0 in every channel: those where a band
/// that is not optional has none, or no band has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    names: Vec<String>,
    /// One per band of the model, in its order.
    positions: Vec<Option<usize>>,
    /// Positions in `names` of the optional bands, in the order of their channels.
    optional: Vec<usize>,
}

impl Inputs {
    /// Finds the bands of `data` by `find`, which gives the position of a name and may
    /// return a substitute for it ([`band::substitute`]) on request.
    ///
    /// A substitute is not taken for an optional band where the model has that one too:
    /// it would see the same numbers twice.
    ///
    /// # Errors
    /// The first band that is neither there nor optional.
    pub(crate) fn find(
        data: &DataConfig,
        find: impl Fn(&str, bool) -> Option<usize>,
    ) -> std::result::Result<Self, &str> {
        let optional = data.optional_positions();
        let has = |requested: &str, names: &[String]| {
            names.iter().any(|name| band::canonical(name) == requested)
        };
        let places = data.bands.iter().enumerate().map(|(place, name)| {
            if !optional.contains(&place) {
                return find(name, true).map(Some).ok_or(name.as_str());
            }
            if has(&band::canonical(name), &data.withhold) {
                return Ok(None);
            }
            let stands_in = band::substitute(name).is_some_and(|other| !has(other, &data.bands));
            Ok(find(name, stands_in))
        });
        Ok(Self {
            positions: places.collect::<std::result::Result<_, _>>()?,
            names: data.bands.clone(),
            optional,
        })
    }

    /// The bands of `data` in a scene, by common or agency name; where a sensor lacks
    /// one, that of [`band::substitute`].
    ///
    /// # Errors
    /// The first band that the scene lacks and that is not optional, with a list of
    /// those it has.
    pub fn of_scene(info: &SceneInfo, data: &DataConfig) -> Result<Self> {
        Self::find(data, |name, substitute| info.position(name, substitute))
            .map_err(|name| info.missing(name))
    }

    /// Positions in the source of the bands that are there, in the model's order.
    pub fn positions(&self) -> Vec<usize> {
        self.positions.iter().flatten().copied().collect()
    }

    /// For each of the model's bands, its position in the source; absent where it is.
    pub(crate) fn found(&self) -> Vec<Option<usize>> {
        self.positions.clone()
    }

    /// Positions among the model's bands of the optional ones, in the order of their channels.
    pub(crate) fn optional(&self) -> &[usize] {
        &self.optional
    }

    /// Names of the model's bands that are there, in its order.
    pub fn present(&self) -> Vec<String> {
        self.names(|position| position.is_some())
    }

    /// Names of the model's bands that are declared absent, in its order.
    pub fn absent(&self) -> Vec<String> {
        self.names(|position| position.is_none())
    }

    /// Whether the input declares which bands are absent.
    pub fn declares(&self) -> bool {
        !self.optional.is_empty()
    }

    /// Names of the input's channels: bands, then `absent:NAME` for each optional one.
    pub fn channel_names(&self) -> Vec<String> {
        let flags = (self.optional.iter()).map(|band| format!("absent:{}", self.names[*band]));
        self.names.iter().cloned().chain(flags).collect()
    }

    /// Whether each of the model's bands is absent.
    pub(crate) fn absences(&self) -> Vec<bool> {
        self.positions.iter().map(Option::is_none).collect()
    }

    /// The bands in the model's order, 0 where absent.
    ///
    /// # Shapes
    /// - present: `[positions().len(), height, width]`
    /// - output: `[bands, height, width]`
    pub(crate) fn bands(&self, present: Array3<f32>) -> Array3<f32> {
        let (count, height, width) = present.dim();
        if count == self.names.len() {
            return present;
        }
        let mut bands = Array3::zeros((self.names.len(), height, width));
        let places = (0..self.names.len()).filter(|band| self.positions[*band].is_some());
        for (place, plane) in places.zip(present.outer_iter()) {
            bands.slice_mut(s![place, .., ..]).assign(&plane);
        }
        bands
    }

    /// The model's input; its last channels say which bands are absent at each pixel.
    /// Where a pixel has no data some channel is not finite.
    ///
    /// # Shapes
    /// - present: `[positions().len(), height, width]`, NaN where a band has no data
    /// - output: `[bands + optional bands, height, width]`
    pub fn assemble(&self, present: Array3<f32>) -> Array3<f32> {
        let bands = self.bands(present);
        let absences = self.absences();
        let flags: Vec<bool> = self.optional.iter().map(|band| absences[*band]).collect();
        let valid = gaps::valid(&bands, &absences, &self.optional);
        let mut input = with_flags(bands, &flags);
        gaps::declare(&mut input, &valid, &absences, &self.optional);
        input
    }

    /// The optional bands that are there: the input's channel that declares each absent,
    /// and its name.
    pub(crate) fn optional_present(&self) -> Vec<(usize, &str)> {
        let there = |(_, band): &(usize, &usize)| self.positions[**band].is_some();
        (self.optional.iter().enumerate())
            .filter(there)
            .map(|(flag, band)| (self.names.len() + flag, self.names[*band].as_str()))
            .collect()
    }

    /// For each band that is there, in the model's order: whether it is optional.
    pub(crate) fn are_optional(&self) -> Vec<bool> {
        (0..self.names.len())
            .filter(|band| self.positions[*band].is_some())
            .map(|band| self.optional.contains(&band))
            .collect()
    }

    /// The same with bands declared absent that are there; `bands` counts those that are.
    #[must_use]
    pub(crate) fn without(mut self, bands: &[usize]) -> Self {
        let there = self.positions.iter_mut().filter(|p| p.is_some());
        for (_, position) in there.enumerate().filter(|(n, _)| bands.contains(n)) {
            *position = None;
        }
        self
    }

    fn names(&self, holds: impl Fn(&Option<usize>) -> bool) -> Vec<String> {
        let pairs = self.names.iter().zip(&self.positions);
        pairs
            .filter(|(_, position)| holds(position))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// `bands` with a channel more for each of `flags`: 1 where it holds, else 0.
pub(crate) fn with_flags(bands: Array3<f32>, flags: &[bool]) -> Array3<f32> {
    if flags.is_empty() {
        return bands;
    }
    let (count, height, width) = bands.dim();
    let mut input = Array3::zeros((count + flags.len(), height, width));
    input.slice_mut(s![..count, .., ..]).assign(&bands);
    for (flag, absent) in flags.iter().enumerate() {
        let value = if *absent { 1.0 } else { 0.0 };
        input.slice_mut(s![count + flag, .., ..]).fill(value);
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn data(text: &str) -> DataConfig {
        Config::parse(&format!("[data]\n{text}"), "t.toml", &[])
            .unwrap()
            .data
    }

    fn among<'a>(have: &'a [&'a str]) -> impl Fn(&str, bool) -> Option<usize> + 'a {
        move |name, substitute| {
            let at = |name: &str| have.iter().position(|have| *have == name);
            at(name).or_else(|| at(band::substitute(name).filter(|_| substitute)?))
        }
    }

    #[test]
    fn absent_bands_are_zero_and_declared() {
        let data = data("bands = ['red', 'nir', 'swir16']\noptional_bands = ['swir16', 'nir']");
        let inputs = Inputs::find(&data, among(&["swir16", "red"])).unwrap();
        assert_eq!(inputs.positions(), [1, 0]);
        assert_eq!(inputs.absent(), ["nir"]);
        assert_eq!(
            inputs.channel_names(),
            ["red", "nir", "swir16", "absent:swir16", "absent:nir"]
        );
        let present = Array3::from_shape_fn((2, 1, 1), |(band, _, _)| 5.0 + band as f32);
        let input = inputs.assemble(present);
        assert_eq!(input.into_raw_vec_and_offset().0, [5.0, 0.0, 6.0, 0.0, 1.0]);
    }

    #[test]
    fn an_optional_band_is_absent_where_it_has_no_data() {
        let data = data("bands = ['red', 'nir', 'swir16']\noptional_bands = ['swir16', 'nir']");
        let inputs = Inputs::find(&data, among(&["red", "nir"])).unwrap();
        const NAN: f32 = f32::NAN;
        // Pixels: all there, no nir, no red, neither.
        let present = ndarray::array![[[1.0, 2.0, NAN, NAN]], [[3.0, NAN, 4.0, NAN]]];
        let input = inputs.assemble(present);
        let pixel = |col: usize| input.slice(s![.., 0, col]).to_vec();
        assert_eq!(pixel(0), [1.0, 3.0, 0.0, 1.0, 0.0]);
        assert_eq!(pixel(1), [2.0, 0.0, 0.0, 1.0, 1.0]);
        assert!(pixel(2)[0].is_nan() && pixel(3)[0].is_nan());
        assert_eq!(inputs.optional_present(), [(4, "nir")]);
        assert_eq!(inputs.clone().without(&[1]).absent(), ["nir", "swir16"]);
    }

    #[test]
    fn a_pixel_without_any_band_has_no_data() {
        // A configuration needs one band at least that is not optional.
        let names = ["red", "nir"].map(String::from).to_vec();
        let data = DataConfig {
            bands: names.clone(),
            optional_bands: names,
            ..DataConfig::default()
        };
        let inputs = Inputs::find(&data, among(&["red", "nir"])).unwrap();
        let present = ndarray::array![[[1.0, f32::NAN]], [[f32::NAN, f32::NAN]]];
        let input = inputs.assemble(present);
        assert_eq!(input.slice(s![.., 0, 0]).to_vec(), [1.0, 0.0, 0.0, 1.0]);
        assert!(input[[0, 0, 1]].is_nan());
    }

    #[test]
    fn a_required_band_must_be_there() {
        let data = data("bands = ['red', 'nir']\noptional_bands = ['nir']");
        assert_eq!(Inputs::find(&data, among(&["nir"])).unwrap_err(), "red");
    }

    #[test]
    fn no_band_is_shown_twice() {
        let text = "bands = ['red', 'nir', 'nir08']\noptional_bands = ['nir', 'nir08']";
        let two = data(text);
        let both = Inputs::find(&two, among(&["red", "nir08"])).map(|i| i.absent());
        assert_eq!(both.unwrap(), ["nir"]);
        let one = data("bands = ['red', 'nir']\noptional_bands = ['nir']");
        let one = Inputs::find(&one, among(&["red", "nir08"])).map(|i| i.positions());
        assert_eq!(one.unwrap(), [0, 1]);
    }

    #[test]
    fn withheld_bands_are_absent() {
        let text = "bands = ['red', 'nir']\noptional_bands = ['nir']\nwithhold = ['B08']";
        let data = data(text);
        let inputs = Inputs::find(&data, among(&["red", "nir"])).map(|i| i.absent());
        assert_eq!(inputs.unwrap(), ["nir"]);
    }
}
