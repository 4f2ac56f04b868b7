//! Graph attention on the CPU.

use burn::backend::{Flex, TensorMetadata};
use nephos_kernel::dropout::Dropout;
use nephos_kernel::graph::{Bias, Pairs, Shape, pairwise, sorted};

use super::{GraphOps, PairOps};
use crate::kernel::slices::{FlexTensor, filled, in_order, numbers, zeros};

fn shape_of(wh: &FlexTensor, s: &FlexTensor) -> Shape {
    let ([batch, nodes, width], [of, heads, each]) = (wh.shape().dims(), s.shape().dims());
    assert!(
        of == batch && each == nodes && width % heads == 0,
        "scores [{of}, {heads}, {each}] for features [{batch}, {nodes}, {width}]"
    );
    Shape {
        batch,
        nodes,
        heads,
        head: width / heads,
    }
}

/// The gradient before the ReLU that gave `out`.
fn before_relu(grad: FlexTensor, out: FlexTensor) -> FlexTensor {
    let [mut grad, out] = [grad, out].map(in_order);
    for (grad, out) in grad.storage_mut::<f32>().iter_mut().zip(numbers(&out)) {
        *grad = if *out > 0.0 { *grad } else { 0.0 };
    }
    grad
}

fn bias<'a>(tokens: &'a FlexTensor, scale: &FlexTensor) -> Bias<'a> {
    let [_, _, width] = tokens.shape().dims();
    Bias {
        tokens: numbers(tokens),
        width,
        scale: numbers(scale)[0],
    }
}

fn all_pairs(
    wh: FlexTensor,
    s: FlexTensor,
    t: FlexTensor,
    slope: f64,
    pairs: &Pairs<'_>,
) -> FlexTensor {
    let [wh, s, t] = [wh, s, t].map(in_order);
    let (shape, [wh_, s, t]) = (shape_of(&wh, &s), [&wh, &s, &t].map(numbers));
    filled(wh.shape(), |out| {
        pairwise::forward(&shape, wh_, s, t, slope, pairs, true, out);
    })
}

/// The gradients by `wh`, `s`, `t` and the tokens of the bias, and by its scale;
/// `by_tokens` has the shape of the tokens, or is empty.
fn all_pairs_backward(
    [wh, s, t, grad]: [FlexTensor; 4],
    slope: f64,
    pairs: &Pairs<'_>,
    by_tokens: &mut FlexTensor,
) -> ([FlexTensor; 3], f32) {
    let [wh, s, t] = [wh, s, t].map(in_order);
    let shape = shape_of(&wh, &s);
    let [mut by_wh, mut by_s, mut by_t] = [&wh, &s, &t].map(|of| zeros(of.shape()));
    let mut by = pairwise::Gradients {
        wh: by_wh.storage_mut(),
        s: by_s.storage_mut(),
        t: by_t.storage_mut(),
        tokens: by_tokens.storage_mut(),
        scale: 0.0,
    };
    let [wh, s, t, grad] = [&wh, &s, &t, &grad].map(numbers);
    pairwise::backward(&shape, wh, s, t, slope, pairs, grad, &mut by);
    let scale = by.scale;
    ([by_wh, by_s, by_t], scale)
}

impl GraphOps for Flex {
    fn graph_sorted(wh: FlexTensor, s: FlexTensor, t: FlexTensor, slope: f64) -> FlexTensor {
        let [wh, s, t] = [wh, s, t].map(in_order);
        let (shape, [wh_, s, t]) = (shape_of(&wh, &s), [&wh, &s, &t].map(numbers));
        filled(wh.shape(), |out| {
            sorted::forward(&shape, wh_, s, t, slope, true, out);
        })
    }

    fn graph_sorted_backward(
        wh: FlexTensor,
        s: FlexTensor,
        t: FlexTensor,
        out: FlexTensor,
        grad: FlexTensor,
        slope: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let grad = before_relu(grad, out);
        let [wh, s, t] = [wh, s, t].map(in_order);
        let shape = shape_of(&wh, &s);
        let [mut by_wh, mut by_s, mut by_t] = [&wh, &s, &t].map(|of| zeros(of.shape()));
        let [wh, s, t, grad] = [&wh, &s, &t, &grad].map(numbers);
        sorted::backward(
            &shape,
            wh,
            s,
            t,
            slope,
            grad,
            by_wh.storage_mut(),
            by_s.storage_mut(),
            by_t.storage_mut(),
        );
        (by_wh, by_s, by_t)
    }
}

impl PairOps for Flex {
    fn graph_dropped(
        wh: FlexTensor,
        s: FlexTensor,
        t: FlexTensor,
        slope: f64,
        dropout: Dropout,
    ) -> FlexTensor {
        let pairs = Pairs {
            bias: None,
            dropout,
        };
        all_pairs(wh, s, t, slope, &pairs)
    }

    fn graph_dropped_backward(
        wh: FlexTensor,
        s: FlexTensor,
        t: FlexTensor,
        out: FlexTensor,
        grad: FlexTensor,
        slope: f64,
        dropout: Dropout,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let pairs = Pairs {
            bias: None,
            dropout,
        };
        let inputs = [wh, s, t, before_relu(grad, out)];
        let ([wh, s, t], _) = all_pairs_backward(inputs, slope, &pairs, &mut zeros([0]));
        (wh, s, t)
    }

    fn graph_biased(
        wh: FlexTensor,
        s: FlexTensor,
        t: FlexTensor,
        tokens: FlexTensor,
        scale: FlexTensor,
        slope: f64,
        dropout: Dropout,
    ) -> FlexTensor {
        let [tokens, scale] = [tokens, scale].map(in_order);
        let pairs = Pairs {
            bias: Some(bias(&tokens, &scale)),
            dropout,
        };
        all_pairs(wh, s, t, slope, &pairs)
    }

    fn graph_biased_backward(
        wh: FlexTensor,
        s: FlexTensor,
        t: FlexTensor,
        tokens: FlexTensor,
        scale: FlexTensor,
        out: FlexTensor,
        grad: FlexTensor,
        slope: f64,
        dropout: Dropout,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let [tokens, scale] = [tokens, scale].map(in_order);
        let pairs = Pairs {
            bias: Some(bias(&tokens, &scale)),
            dropout,
        };
        let mut by_tokens = zeros(tokens.shape());
        let inputs = [wh, s, t, before_relu(grad, out)];
        let ([wh, s, t], by_scale) = all_pairs_backward(inputs, slope, &pairs, &mut by_tokens);
        let scale = filled([1], |by| by[0] = by_scale);
        (wh, s, t, by_tokens, scale)
    }
}
