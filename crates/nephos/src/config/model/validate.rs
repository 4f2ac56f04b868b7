//! Validation of the network's configuration.

use super::{ModelConfig, PositionKind};
use crate::config::require;

/// Bounds on a configuration, which may come from an untrusted bundle: products
/// of any three sizes stay far from overflow.
const MAX_SIZE: usize = 65_536;
const MAX_DEPTH: usize = 1000;

impl ModelConfig {
    /// A baseline has the numbers of all models, and none of the sections.
    fn validate_baseline(&self) -> Result<(), String> {
        let own = Self {
            kind: self.kind,
            image_size: self.image_size,
            overlap: self.overlap,
            classes: self.classes,
            ..Self::default()
        };
        if *self != own {
            return Err(format!(
                "`model.kind` \"{}\" has no section of model: only model.image_size, \
                 model.overlap and model.classes may be set",
                self.kind.name()
            ));
        }
        require(
            (1..=MAX_SIZE).contains(&self.image_size),
            "model.image_size",
            "1 to 65536",
        )
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        require(
            (0.0..=0.9).contains(&self.overlap),
            "model.overlap",
            "in [0, 0.9]",
        )?;
        require(
            self.reach
                .is_none_or(|reach| (1..=MAX_SIZE).contains(&reach)),
            "model.reach",
            "1 to 65536 patches",
        )?;
        if !self.kind.is_graph_transformer() {
            require(
                (2..=254).contains(&self.classes),
                "model.classes",
                "2 to 254",
            )?;
            return self.validate_baseline();
        }
        let (patch, encoder, graph, decoder) =
            (&self.patch, &self.encoder, &self.graph, &self.decoder);
        require(
            (2..=254).contains(&self.classes),
            "model.classes",
            "2 to 254",
        )?;
        for (key, value) in [
            ("model.patch.size", patch.size),
            ("model.patch.stride", patch.stride),
            ("model.patch.width", patch.width),
            ("model.encoder.feed_forward", encoder.feed_forward),
            ("model.graph.width", graph.width),
            ("model.decoder.width", decoder.width),
        ] {
            require((1..=MAX_SIZE).contains(&value), key, "1 to 65536")?;
        }
        require(
            encoder.depth <= MAX_DEPTH,
            "model.encoder.depth",
            "at most 1000",
        )?;
        require(
            graph.layers <= MAX_DEPTH,
            "model.graph.layers",
            "at most 1000",
        )?;
        require(
            encoder.taps.iter().all(|&tap| tap <= encoder.depth) && encoder.taps.len() <= MAX_DEPTH,
            "model.encoder.taps",
            "at most 1000 depths, each from 0 to model.encoder.depth",
        )?;
        require(
            (1e-12..=0.1).contains(&encoder.norm_eps),
            "model.encoder.norm_eps",
            "in [1e-12, 0.1]",
        )?;
        self.validate_stem()?;
        require(
            patch.padding < patch.size,
            "model.patch.padding",
            "less than model.patch.size",
        )?;
        require(
            (1..=MAX_SIZE).contains(&self.image_size)
                && self.grid(self.image_size, self.image_size).is_some(),
            "model.image_size",
            "at least as large as one patch, and at most 65536",
        )?;
        require(
            encoder.heads > 0 && patch.width.is_multiple_of(encoder.heads),
            "model.encoder.heads",
            "a divisor of model.patch.width",
        )?;
        require(
            encoder.position != PositionKind::Sincos || patch.width.is_multiple_of(4),
            "model.patch.width",
            "a multiple of 4 for sincos positions",
        )?;
        for (key, rate) in [
            ("model.encoder.dropout", encoder.dropout),
            ("model.graph.dropout", graph.dropout),
        ] {
            require((0.0..1.0).contains(&rate), key, "in [0, 1)")?;
        }
        require(
            graph.heads > 0 && graph.width.is_multiple_of(graph.heads),
            "model.graph.heads",
            "a divisor of model.graph.width",
        )?;
        require(
            !graph.residual || graph.width == patch.width,
            "model.graph.width",
            "that of the tokens, model.patch.width, where model.graph.residual adds to them",
        )?;
        require(
            (0.0..=100.0).contains(&graph.affinity_start),
            "model.graph.affinity_start",
            "0 to 100",
        )?;
        require(
            (0.0..=1.0).contains(&graph.slope),
            "model.graph.slope",
            "in [0, 1]",
        )?;
        require(
            decoder.kernel % 2 == 1 && decoder.kernel < 256,
            "model.decoder.kernel",
            "an odd number below 256",
        )
    }

    /// Stem, patches and stages have grids that halve each other.
    fn validate_stem(&self) -> Result<(), String> {
        let (stem, patch, decoder) = (&self.stem, &self.patch, &self.decoder);
        let widths = |list: &[usize]| list.iter().all(|width| (1..=MAX_SIZE).contains(width));
        require(
            stem.channels.len() <= 8 && widths(&stem.channels),
            "model.stem.channels",
            "at most 8 numbers from 1 to 65536",
        )?;
        require(
            stem.mu.is_none_or(|mu| mu > 0.0 && mu.is_finite())
                && !(stem.mu.is_some() && stem.channels.is_empty()),
            "model.stem.mu",
            "a number above 0, and absent without model.stem.channels",
        )?;
        require(
            decoder.stages.len() <= 8 && widths(&decoder.stages),
            "model.decoder.stages",
            "at most 8 numbers from 1 to 65536",
        )?;
        if stem.channels.is_empty() && decoder.stages.is_empty() {
            return Ok(());
        }
        require(
            patch.stride == patch.size && patch.padding == 0,
            "model.patch.stride",
            "model.patch.size, and model.patch.padding 0, with a stem or with stages",
        )?;
        let halvings = patch.size.checked_ilog2().unwrap_or(0) as usize;
        require(
            patch.size.is_power_of_two()
                && stem.channels.len() <= halvings
                && decoder.stages.len() <= halvings,
            "model.patch.size",
            "a power of two with a stem or with stages, and as large as their number of \
             halvings asks",
        )?;
        require(
            !decoder.align_corners,
            "model.decoder.align_corners",
            "false with a stem or with stages",
        )
    }
}
