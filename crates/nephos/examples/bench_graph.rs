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

use nephos::config::GraphConfig;
use nephos::weights::{self, NamedTensor};
use nephos_kernel::format::Format;
use nephos_kernel::graph::Pairs;
use nephos_kernel::graph::layer::{Graphs, Layer, Saved};
use nephos_kernel::graph::scores::Scores;
use nephos_kernel::linear::Linear;
use nephos_kernel::scratch::Scratch;

fn main() -> nephos::Result<()> {
    let [weights, nodes, mode] = protocol::arguments("bench_graph WEIGHTS NODES forward|backward");
    let backward = match mode.as_str() {
        "forward" => false,
        "backward" => true,
        _ => panic!("`{mode}`: expected forward or backward"),
    };
    let tensors = weights::read(Path::new(&weights))?;
    let find = |ending: &str| {
        let tensor = tensors.iter().find(|(name, ..)| name.ends_with(ending));
        tensor.cloned().expect("weights of one layer")
    };
    let (project_name, project_shape, project) = find("W.weight");
    let (score_name, score_shape, score) = find("a.weight");
    let &[width, inputs] = &project_shape[..] else {
        panic!("W.weight has two axes");
    };
    let project = transposed(&project, inputs);
    let (shape, nodes_in) = protocol::tensor(Path::new(&nodes), "nodes")?;
    let layer = Layer {
        project: Linear::plain(&project, [inputs, width], None, Format::F32),
        scores: Scores::new(score.into(), [1, width]),
        slope: GraphConfig::default().slope,
        residual: false,
    };
    let graphs = Graphs {
        batch: 1,
        nodes: shape[1],
        reach: None,
        pairs: Pairs::plain(),
    };
    let mut scratch = Scratch::allocating();
    let mut forward = |saved: Option<&mut Saved>| -> Vec<f32> {
        let nodes = nodes_in.clone().into();
        let (out, _) = layer.forward(nodes, &graphs, saved, &mut scratch, &mut |_| ());
        out.into()
    };
    let out_shape = vec![1, shape[1], width];
    if !backward {
        protocol::serve(
            || forward(None),
            |out| vec![("nodes".to_owned(), out_shape.clone(), out)],
        );
        return Ok(());
    }
    let (_, probe) = protocol::tensor(Path::new(&nodes), "probe")?;
    protocol::serve(
        || {
            let mut saved = Saved::default();
            let out = forward(Some(&mut saved));
            let by = layer.backward(&nodes_in, &graphs, &saved, &probe);
            (out, by)
        },
        |(out, by)| -> Vec<NamedTensor> {
            let project = transposed(&by.project, width);
            vec![
                (project_name.clone(), project_shape.clone(), project),
                (score_name.clone(), score_shape.clone(), by.score),
                ("input".to_owned(), shape.clone(), by.nodes),
                ("nodes".to_owned(), out_shape.clone(), out),
            ]
        },
    );
    Ok(())
}

/// A matrix of rows of `cols` numbers, transposed.
fn transposed(matrix: &[f32], cols: usize) -> Vec<f32> {
    let of_col = |col: usize| matrix[col..].iter().step_by(cols).copied();
    (0..cols).flat_map(of_col).collect()
}
