//! Initial weights, outputs and costs.

use std::path::Path;

use ndarray::{Array2, Array3, Array4, Axis, s};
use nephos::config::Config;
use nephos::network::{Explanation, Network};
use nephos::weights::Parameters;
use nephos_burn::Segmenter;
use nephos_burn::tensors::collect;

use crate::changes::{CHANGES, config};
use crate::{devices, difference, generator, images, weights};

/// A network of change `index` on either device.
fn networks(config: &Config, index: usize) -> [Box<dyn Network>; 2] {
    devices().map(|device| {
        let (model, weights) = (&config.model, weights(config, index as u64));
        let network = device.network(model, config.channels(), weights, Path::new("here"));
        network.unwrap()
    })
}

#[test]
fn the_initial_weights_are_those_of_burns_layers() {
    let _held = generator();
    let cpu = burn::tensor::Device::flex();
    for (index, config) in CHANGES.iter().map(config).enumerate() {
        let seed = 40 + index as u64;
        let ours = Parameters::draw(&config.model, config.channels(), seed).into_torch();
        cpu.seed(seed);
        let burns = collect(&Segmenter::new(&config.model, config.channels(), &cpu)).unwrap();
        assert_eq!(ours.len(), burns.len(), "change {index}");
        for ((name, shape, ours), (burns_name, burns_shape, burns)) in ours.iter().zip(&burns) {
            assert_eq!((name, shape), (burns_name, burns_shape), "change {index}");
            assert!(ours == burns, "change {index}, {name}");
        }
    }
}

#[test]
fn scores_agree() {
    let _held = generator();
    for (index, config) in CHANGES.iter().map(config).enumerate() {
        let [engine, burns] = networks(&config, index);
        for sizes in [[1, 64, 64], [2, 70, 101]] {
            let [ours, theirs] =
                [&engine, &burns].map(|network| network.forward(images(&config, sizes)).unwrap());
            assert_eq!(ours.dim(), theirs.dim());
            let (off, _) = difference(&ours, &theirs);
            assert!(off < 1e-5, "change {index}, {sizes:?}: off by {off:e}");
        }
    }
}

#[test]
fn scores_of_the_reference_agree() {
    let _held = generator();
    let config = Config::default();
    let networks = networks(&config, 1);
    let sizes = [1, config.model.image_size, config.model.image_size];
    let [ours, theirs] = networks.map(|network| network.forward(images(&config, sizes)).unwrap());
    let (off, _) = difference(&ours, &theirs);
    assert!(off < 1e-5, "off by {off:e}");
}

/// The output of a network put together from its parts: tokens, then scores of cells.
fn in_parts(network: &dyn Network, image: &Array3<f32>) -> (Array4<f32>, Array3<f32>) {
    let parts = network.parts().expect("a graph of patches");
    let tokens = parts.encode(image.clone().insert_axis(Axis(0))).unwrap();
    let (_, features, rows, cols) = tokens.dim();
    let token = tokens.index_axis(Axis(0), 0);
    let (embeddings, encoded) = token.split_at(Axis(0), features / 2);
    let nodes: Vec<f32> = (encoded.permuted_axes([1, 2, 0]).iter().copied()).collect();
    let nodes = Array2::from_shape_vec((rows * cols, features / 2), nodes).unwrap();
    let nodes = parts.refine(nodes).unwrap();
    let grid = (rows, cols, nodes.ncols());
    let nodes = nodes
        .into_shape_with_order(grid)
        .unwrap()
        .permuted_axes([2, 0, 1]);
    let scores = (parts.decode(image.clone(), nodes, embeddings.to_owned())).unwrap();
    (tokens, scores)
}

#[test]
fn parts_and_explanations_agree() {
    let _held = generator();
    for (index, config) in CHANGES.iter().map(config).enumerate() {
        let image = images(&config, [1, 70, 101]).slice_move(s![0, .., .., ..]);
        let networks = networks(&config, index);
        let close = |what: &str, (off, largest): (f32, f32)| {
            let bound = 1e-5 * largest.max(1.0);
            assert!(off < bound, "change {index}, {what}: off by {off:e}");
        };
        let [ours, theirs] = networks
            .each_ref()
            .map(|network| in_parts(&**network, &image));
        assert_eq!(
            (ours.0.dim(), ours.1.dim()),
            (theirs.0.dim(), theirs.1.dim())
        );
        close("tokens", difference(&ours.0, &theirs.0));
        close("scores", difference(&ours.1, &theirs.1));
        let explained = networks.map(|network| network.explain(image.clone()).unwrap());
        let [ours, theirs]: [Explanation; 2] = explained;
        assert_eq!(ours.grid, theirs.grid);
        assert_eq!(ours.affinity.dim(), theirs.affinity.dim());
        close("affinity", difference(&ours.affinity, &theirs.affinity));
        assert_eq!(ours.attention.len(), theirs.attention.len());
        for (ours, theirs) in ours.attention.iter().zip(&theirs.attention) {
            assert_eq!(ours.dim(), theirs.dim());
            close("attention", difference(ours, theirs));
        }
    }
}

#[test]
fn costs_agree() {
    let _held = generator();
    for (index, config) in CHANGES.iter().map(config).enumerate() {
        for size in [[64, 64], [70, 101]] {
            let [ours, theirs] = devices()
                .map(|device| device.cost(&config.model, config.channels(), size).unwrap());
            assert_eq!(ours, theirs, "change {index}, {size:?}");
        }
    }
}
