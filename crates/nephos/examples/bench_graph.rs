//! One graph attention layer, for `bench/peers/run.py graph`.
//!
//! ```text
//! cargo run --release --example bench_graph WEIGHTS NODES forward|backward
//! ```
//!
//! WEIGHTS holds `layers.0.W.weight` `[width, width in]` and `layers.0.a.weight`
//! `[1, 2 * width]`; NODES holds `nodes` `[1, N, width in]` and `probe`
//! `[1, N, width]`. The output is `nodes` after the layer; with `backward` also the
//! gradients of `sum(nodes * probe)`: of the weights under their names, of the
//! nodes as `input`.

mod protocol;

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use nephos::config::{GraphConfig, Precision};
use nephos::model::{Compute, Graph, weights};

fn main() -> nephos::Result<()> {
    let [weights, nodes, mode] = protocol::arguments("bench_graph WEIGHTS NODES forward|backward");
    let backward = match mode.as_str() {
        "forward" => false,
        "backward" => true,
        _ => panic!("`{mode}`: expected forward or backward"),
    };
    let device = match backward {
        false => nephos::device::select("cpu")?,
        true => nephos::device::select("cpu")?.autodiff(),
    };
    let tensors = weights::read(Path::new(&weights))?;
    let score = tensors.iter().find(|(name, ..)| name.ends_with("a.weight"));
    let config = GraphConfig {
        layers: 1,
        width: score.map_or(0, |(_, shape, _)| shape[1] / 2),
        dropout: 0.0,
        ..GraphConfig::default()
    };
    let load = |name| load(Path::new(&nodes), name, &device);
    let nodes = load("nodes")?;
    let graph = Graph::new(&config, nodes.dims()[2], &device);
    let graph = weights::apply(graph, tensors, Path::new(&weights))?;
    let forward = |nodes| {
        let compute = Compute::from(Precision::F32);
        graph.forward(nodes, None, compute, None)
    };
    if !backward {
        protocol::serve(
            || forward(nodes.clone()).into_data(),
            |nodes| vec![named("nodes", nodes)],
        );
        return Ok(());
    }
    let (nodes, probe) = (nodes.require_grad(), load("probe")?);
    protocol::serve(
        || {
            let output = forward(nodes.clone());
            let gradients = (output.clone() * probe.clone()).sum().backward();
            (output, gradients)
        },
        |(output, gradients)| {
            let mut tensors = weights::collect_gradients(&graph, &gradients);
            let input = nodes.grad(&gradients).expect("the nodes have a gradient");
            tensors.push(named("input", input.into_data()));
            tensors.push(named("nodes", output.into_data()));
            tensors
        },
    );
    Ok(())
}

fn load(path: &Path, name: &str, device: &Device) -> nephos::Result<Tensor<3>> {
    let (shape, values) = protocol::tensor(path, name)?;
    let shape: [usize; 3] = shape.try_into().expect("nodes have three axes");
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}

fn named(name: &str, data: TensorData) -> weights::NamedTensor {
    let shape = data.shape().to_vec();
    let values = data.try_into_vec().expect("the layer computes in f32");
    (name.to_owned(), shape, values)
}
