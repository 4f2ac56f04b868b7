//! A network of the reference's kind that is small enough for every test.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Gradients as Graph, Tensor};
use nephos::config::Config;
use nephos::model::Segmenter;
use nephos::model::weights::names;

/// A configuration with every part of the reference, small.
pub fn config() -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.image_size = 64;
    model.patch.size = 16;
    model.patch.stride = 16;
    model.patch.padding = 3;
    model.patch.width = 32;
    model.encoder.depth = 2;
    model.encoder.heads = 4;
    model.encoder.feed_forward = 64;
    model.encoder.dropout = 0.0;
    model.graph.width = 48;
    model.graph.dropout = 0.0;
    model.decoder.width = 40;
    config
}

/// The device's one generator, held while drawing: tests run side by side.
static GENERATOR: Mutex<()> = Mutex::new(());

/// A network with weights drawn from `seed`.
pub fn segmenter(config: &Config, seed: u64, device: &Device) -> Segmenter {
    let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    Segmenter::new(&config.model, config.channels(), device)
}

/// `[batch, 3, height, width]` of numbers in [0, 1].
pub fn images(batch: usize, height: usize, width: usize, device: &Device) -> Tensor<4> {
    let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    Tensor::random([batch, 3, height, width], Distribution::Default, device)
}

/// Gradients under PyTorch's names, in the network's layouts: shape and numbers.
pub struct Gradients(pub BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Gradients {
    pub fn of(segmenter: &Segmenter, graph: &Graph) -> Self {
        let mut reader = Reader {
            graph,
            path: Vec::new(),
            found: BTreeMap::new(),
        };
        segmenter.visit(&mut reader);
        Self(reader.found)
    }
}

struct Reader<'a> {
    graph: &'a Graph,
    path: Vec<String>,
    found: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for Reader<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if let Some(gradient) = param.val().grad(self.graph) {
            let shape = gradient.dims().to_vec();
            let values = gradient.into_data().try_into_vec().unwrap();
            self.found.insert(names::to_torch(&path), (shape, values));
        }
    }
}
