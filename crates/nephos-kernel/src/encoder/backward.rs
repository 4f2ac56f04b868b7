//! The backward pass of a layer.

use super::layer::{Layer, Saved, Sequences};
use super::{Dropouts, Order};
use crate::activation::{drop, gelu_backward, relu_backward};
use crate::attention;
use crate::gemm::Act;

/// The gradients of a layer; each pair of a linear layer is that of the weight and
/// of the bias, each pair of a norm that of the scale and of the shift.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// By the input, `[rows, width]`.
    pub x: Vec<f32>,
    /// By the packed projection.
    pub in_proj: [Vec<f32>; 2],
    /// By the output projection.
    pub out_proj: [Vec<f32>; 2],
    /// By the first linear layer of the feed-forward part.
    pub linear1: [Vec<f32>; 2],
    /// By the second.
    pub linear2: [Vec<f32>; 2],
    /// By the norm of attention.
    pub norm1: [Vec<f32>; 2],
    /// By the norm of the feed-forward part.
    pub norm2: [Vec<f32>; 2],
}

impl Layer<'_> {
    /// All gradients, from the gradient by the output; `x` and `sequences` are those of the
    /// forward pass that gave `saved`.
    ///
    /// # Shapes
    /// - x, gradient: `[batch * tokens, width]`
    ///
    /// # Panics
    /// The sizes do not fit each other.
    pub fn backward(
        &self,
        x: &[f32],
        sequences: &Sequences,
        saved: &Saved,
        gradient: &[f32],
    ) -> Gradients {
        let Saved {
            middle,
            normal1: [normal1, moments1],
            second,
            moments2,
            ..
        } = saved;
        let dropouts = &sequences.dropouts;
        let (x, [in_proj, out_proj], [linear1, linear2], [norm1, norm2]) = match self.order {
            Order::Post => {
                let (of_second, norm2) = self.norm2.backward([second, moments2, gradient]);
                // By the first norm's output: the residual's and the part's.
                let mut of_normal = of_second.clone();
                let linears =
                    self.feed_backward(normal1, dropouts, saved, of_second, true, &mut of_normal);
                let (of_middle, norm1) = self.norm1.backward([middle, moments1, &of_normal]);
                let mut of_x = of_middle.clone();
                let projections =
                    self.attend_backward(x, sequences, saved, of_middle, true, &mut of_x);
                (of_x, projections, linears, [norm1, norm2])
            }
            Order::Pre => {
                let mut of_normal = vec![0.0; x.len()];
                let of_out = gradient.to_vec();
                let linears =
                    self.feed_backward(second, dropouts, saved, of_out, false, &mut of_normal);
                let (mut of_middle, norm2) = self.norm2.backward([middle, moments2, &of_normal]);
                add(&mut of_middle, gradient);
                let of_out = of_middle.clone();
                let projections =
                    self.attend_backward(normal1, sequences, saved, of_out, false, &mut of_normal);
                let (mut of_x, norm1) = self.norm1.backward([x, moments1, &of_normal]);
                add(&mut of_x, &of_middle);
                (of_x, projections, linears, [norm1, norm2])
            }
        };
        Gradients {
            x,
            in_proj,
            out_proj,
            linear1,
            linear2,
            norm1,
            norm2,
        }
    }

    /// The gradients by weight and bias of the input and of the output projection; that by the
    /// input `x` of attention goes to `of_x`, added to what is there if `accumulate`.
    fn attend_backward(
        &self,
        x: &[f32],
        sequences: &Sequences,
        saved: &Saved,
        mut gradient: Vec<f32>,
        accumulate: bool,
        of_x: &mut [f32],
    ) -> [[Vec<f32>; 2]; 2] {
        let (shape, dropouts) = (self.shape(sequences), &sequences.dropouts);
        drop(&dropouts.attended, &mut gradient);
        let of_out = self.out_proj.weights_backward(&saved.context, &gradient);
        let mut of_context = vec![0.0; x.len()];
        self.out_proj.backward(&gradient, false, &mut of_context);
        let known = [&saved.context[..], &saved.sums, &of_context];
        let mut of_packed = vec![0.0; saved.packed.len()];
        attention::backward(
            &saved.packed,
            shape,
            &dropouts.weights,
            known,
            &mut of_packed,
        );
        let of_in = self.in_proj.weights_backward(x, &of_packed);
        self.in_proj.backward(&of_packed, accumulate, of_x);
        [of_in, of_out]
    }

    /// As [`Layer::attend_backward`], of both linear layers of the feed-forward part.
    fn feed_backward(
        &self,
        x: &[f32],
        dropouts: &Dropouts,
        saved: &Saved,
        mut gradient: Vec<f32>,
        accumulate: bool,
        of_x: &mut [f32],
    ) -> [[Vec<f32>; 2]; 2] {
        drop(&dropouts.fed, &mut gradient);
        let of_second = self.linear2.weights_backward(&saved.hidden, &gradient);
        let mut of_hidden = vec![0.0; saved.hidden.len()];
        self.linear2.backward(&gradient, false, &mut of_hidden);
        match self.activation {
            Act::Gelu => gelu_backward(&saved.before, &dropouts.hidden, &mut of_hidden),
            Act::Relu => relu_backward(&saved.hidden, &dropouts.hidden, &mut of_hidden),
            Act::None => drop(&dropouts.hidden, &mut of_hidden),
        }
        let of_first = self.linear1.weights_backward(x, &of_hidden);
        self.linear1.backward(&of_hidden, accumulate, of_x);
        [of_first, of_second]
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, x)| *to += x);
}
