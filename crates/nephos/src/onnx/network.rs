//! The network from its input to the scores of pixels.

use nephos_kernel::interpolate::Bilinear;

use super::graph::{Attribute, Value};
use super::layers::{Builder, Window};
use crate::config::PositionKind;
use crate::engine::{GAIN, SHIFT, sincos};
use crate::error::Result;

impl Builder<'_> {
    /// Class scores of the pixels of windows of `pixels` rows and columns, which are whole
    /// patches where the network needs these.
    ///
    /// # Shapes
    /// - x: `[batch, channels, rows, columns]`, the model's input
    /// - output: `[batch, classes, rows, columns]`
    pub fn scores(&mut self, x: Value, pixels: [usize; 2]) -> Result<Value> {
        let levels = self.stem(x)?;
        let embedded = self.embed(&levels)?;
        let embeddings = self.tokens_of(&embedded, self.config.patch.width);
        let placed = self.placed(&embedded, &embeddings)?;
        let sight = self.sight();
        let encoded = self.encoder(placed, &sight)?;
        let nodes = self.graph_attention(encoded, &sight)?;
        let cells = self.decoder(&nodes, &embedded, &levels)?;
        Ok(self.upsampled(&cells, pixels))
    }

    /// The image, companded where the model does that, and the output of each level of the stem.
    fn stem(&mut self, x: Value) -> Result<Vec<Value>> {
        let stem = &self.config.stem;
        let mut grids = vec![match stem.mu {
            Some(mu) if !stem.channels.is_empty() => self.companded(&x, mu),
            _ => x,
        }];
        let halving = Window {
            side: 3,
            stride: 2,
            padding: 1,
        };
        for level in 0..stem.channels.len() {
            let input = match level {
                0 => grids[0].clone(),
                _ => self.relu(&grids[level]),
            };
            let halved = self.conv(&input, &format!("stem.levels.{level}.down"), halving, 1)?;
            let out = self.block(&halved, &format!("stem.levels.{level}.block"))?;
            grids.push(out);
        }
        Ok(grids)
    }

    /// The μ-law, as the stem applies it.
    fn companded(&mut self, x: &Value, mu: f32) -> Value {
        let positive = self.relu(x);
        let grown = self.scaled(&positive, mu);
        let one = self.graph.number(1.0);
        let sum = self.add(&grown, &one);
        let logarithm = self.graph.node("Log", &[&sum], &[]);
        let scaled = self.scaled(&logarithm, GAIN / mu.ln_1p());
        let shift = self.graph.number(-SHIFT);
        self.add(&scaled, &shift)
    }

    /// The grid of embedded patches.
    fn embed(&mut self, levels: &[Value]) -> Result<Value> {
        let (patch, reduction) = (&self.config.patch, self.config.stem.reduction());
        let [side, stride, padding] =
            [patch.size, patch.stride, patch.padding].map(|pixels| pixels / reduction);
        let window = Window {
            side,
            stride,
            padding,
        };
        let grid = match levels {
            [image] => image.clone(),
            [.., last] => self.relu(last),
            [] => unreachable!("the image is always there"),
        };
        self.conv(&grid, "patch_embed.proj", window, 1)
    }

    /// Tokens with their positions.
    fn placed(&mut self, grid: &Value, tokens: &Value) -> Result<Value> {
        let width = self.config.patch.width;
        let [rows, cols] = self.grid;
        let positions = match self.config.encoder.position {
            PositionKind::None => return Ok(tokens.clone()),
            PositionKind::Conditional => {
                let conv = self.conv(grid, "position.conditional", Window::same(3), width)?;
                self.tokens_of(&conv, width)
            }
            PositionKind::Sincos => {
                let positions = sincos(rows, cols, width);
                (self.graph).constant("positions", &[self.tokens(), width], &positions)
            }
            PositionKind::Learned => {
                let (name, shape, values) = self.weight("position.embedding")?;
                let from = match shape[..] {
                    [_, _, rows, cols] => [rows, cols],
                    _ => self.grid,
                };
                let mut by_feature = vec![0.0; width * rows * cols];
                let resampling = Bilinear::new(from, [rows, cols], false);
                resampling.resample(values, &mut by_feature, &mut Vec::new());
                let positions = self
                    .graph
                    .constant(name, &[1, width, rows, cols], &by_feature);
                self.tokens_of(&positions, width)
            }
        };
        Ok(self.add(tokens, &positions))
    }

    /// Class scores of the decoder's cells.
    fn decoder(&mut self, nodes: &Value, embedded: &Value, levels: &[Value]) -> Result<Value> {
        let decoder = &self.config.decoder;
        let nodes = self.grid_of(nodes, self.config.graph_width());
        let joined = match decoder.skip {
            true => self.joined(&[&nodes, embedded]),
            false => nodes,
        };
        let mut x = self.conv(&joined, "decoder.conv1", Window::same(decoder.kernel), 1)?;
        for stage in 0..decoder.stages.len() {
            let name = |part: &str| format!("decoder.stages.{stage}.{part}");
            let positive = self.relu(&x);
            let reduced = self.conv(&positive, &name("reduce"), Window::same(1), 1)?;
            let doubled = self.doubled(&reduced);
            let joined = match self.config.detail_level(stage) {
                None => doubled,
                Some(0) => self.joined(&[&doubled, &levels[0]]),
                Some(level) => {
                    let detail = self.relu(&levels[level]);
                    self.joined(&[&doubled, &detail])
                }
            };
            x = self.conv(&joined, &name("join"), Window::same(3), 1)?;
            if decoder.residual {
                x = self.block(&x, &name("block"))?;
            }
        }
        let positive = self.relu(&x);
        self.conv(&positive, "decoder.conv_out", Window::same(1), 1)
    }

    /// Each cell four times.
    fn doubled(&mut self, grid: &Value) -> Value {
        let none = Value::new();
        let scales = self.graph.numbers(&[1.0, 1.0, 2.0, 2.0]);
        let attributes = [
            Attribute::Text("mode", "nearest"),
            Attribute::Text("coordinate_transformation_mode", "asymmetric"),
            Attribute::Text("nearest_mode", "floor"),
        ];
        self.graph
            .node("Resize", &[grid, &none, &scales], &attributes)
    }

    /// Scores of pixels, from those of cells.
    fn upsampled(&mut self, cells: &Value, pixels: [usize; 2]) -> Value {
        let none = Value::new();
        // The sizes of batch and classes are taken as they come: scales of other sizes than
        // powers of two would be rounded.
        let shape = self
            .graph
            .node("Shape", &[cells], &[Attribute::Int("end", 2)]);
        let pixels = self.graph.integers(&pixels.map(|side| side as i64));
        let sizes = self
            .graph
            .node("Concat", &[&shape, &pixels], &[Attribute::Int("axis", 0)]);
        let corners = match self.config.decoder.align_corners {
            true => "align_corners",
            false => "half_pixel",
        };
        let attributes = [
            Attribute::Text("mode", "linear"),
            Attribute::Text("coordinate_transformation_mode", corners),
        ];
        self.graph
            .node("Resize", &[cells, &none, &none, &sizes], &attributes)
    }
}
