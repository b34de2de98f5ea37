//! Draws the weights of a network again, at random: the baseline that shows what pretraining buys.
//!
//! Weights of Conv, ConvTranspose, Gemm and MatMul come from He's normal distribution,
//! N(0, 2/fan_in) (He et al. 2015, "Delving Deep into Rectifiers", eq. 10). Their biases become zero.
//! Scales and statistics of normalisation layers, embeddings and all other constants stay.
//!
//! Where BatchNormalization was folded into the convolutions, nothing holds the scale back and every
//! residual addition doubles the variance: features of a folded ResNet-56 come out around 7000. They
//! are finite and told apart by standardising, as the head does; a folded float16 network much
//! deeper than that may overflow, which the reader of the features will report.

use std::collections::{HashMap, HashSet};
use std::f64::consts::TAU;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Problem};
use crate::model::Model;
use crate::proto::TensorProto;
use crate::tensor;
use crate::value::Dim;
use crate::wiring::Wiring;

/// What becomes of an initialiser.
enum Draw {
    /// Standard deviation of the normal distribution.
    Normal(f64),
    Zero,
}

impl Model {
    /// Draws the weights again and returns how many tensors were drawn. Every tensor has a stream of
    /// ChaCha8 of its own, keyed by the seed and its place in the file; element types stay.
    ///
    /// # Errors
    /// If the model has no such weights stored as floats.
    pub fn randomise_weights(&mut self, seed: u64) -> Result<usize, Error> {
        let plan = self.plan_draws();
        self.store_constant_nodes(&plan);
        let mut n_drawn = 0;
        for (stream, constant) in self.graph_mut().initializer.iter_mut().enumerate() {
            let Some(draw) = plan.get(constant.name()) else {
                continue;
            };
            let Some(n) = tensor::floats(constant).map(|values| values.len()) else {
                continue;
            };
            let values = match draw {
                Draw::Zero => vec![0.0; n],
                Draw::Normal(deviation) => {
                    n_drawn += 1;
                    normals(seed, stream as u64, *deviation, n)
                }
            };
            tensor::overwrite(constant, &values);
        }
        if n_drawn == 0 {
            return Err(self.fail(Problem::NothingToRandomise));
        }
        Ok(n_drawn)
    }

    /// Makes initialisers, behind those that are there, of the Constant nodes whose tensors are drawn.
    fn store_constant_nodes(&mut self, plan: &HashMap<String, Draw>) {
        let mut stored = Vec::new();
        self.graph_mut().node.retain(|node| {
            let name = node.output.first().filter(|name| node.standard_op() == "Constant" && plan.contains_key(*name));
            let Some((name, tensor)) = name.zip(node.tensor("value")) else { return true };
            stored.push(TensorProto { name: Some(name.clone()), ..tensor.clone() });
            false
        });
        self.add_constants(stored);
    }

    fn plan_draws(&self) -> HashMap<String, Draw> {
        let (graph, tensors) = (self.graph(), self.tensors());
        let wiring = Wiring::of(graph);
        let mut plan = HashMap::new();
        let mut products: HashSet<&str> = HashSet::new();
        for node in &graph.node {
            let source = |index: usize| wiring.source(node.reads_at(index)?).map(str::to_owned);
            let shape = |index: usize| tensors.shape(node.reads_at(index)?);
            let fixed = |dim: Option<&Dim>| dim.and_then(Dim::fixed);
            let (weight, fan_in, bias) = match node.standard_op() {
                "Conv" => (1, shape(1).and_then(|s| window(s.get(1..)?)), source(2)),
                "ConvTranspose" => {
                    // Stored as [in, out / group, …]: an output sees `in / group` channels.
                    let group = u64::try_from(node.int("group").unwrap_or(1)).unwrap_or(1).max(1);
                    let inputs = shape(1).and_then(|s| Some(fixed(s.first())? / group));
                    let window = shape(1).and_then(|s| window(s.get(2..)?));
                    (1, inputs.zip(window).and_then(|(a, b)| a.checked_mul(b)), source(2))
                }
                "Gemm" => {
                    let axis = usize::from(node.int("transB").unwrap_or(0) != 0);
                    (1, shape(1).and_then(|s| fixed(s.get(axis))), source(2))
                }
                "MatMul" => {
                    products.extend(node.output.iter().map(String::as_str));
                    match node.reads_at(0).is_some_and(|name| tensors.is_constant(name)) {
                        true => (0, shape(0).and_then(|s| fixed(s.last())), None),
                        false => (1, shape(1).and_then(|s| fixed(s.iter().rev().nth(1))), None),
                    }
                }
                "Add" => {
                    // The bias of a MatMul stands in an Add of its own.
                    let after_product = node.input.iter().any(|name| products.contains(name.as_str()));
                    // What has more axes than a bias is a position embedding.
                    let is_bias = |&index: &usize| shape(index).is_some_and(|shape| shape.len() <= 1);
                    for bias in [0, 1].iter().filter(|i| after_product && is_bias(i)).filter_map(|&i| source(i)) {
                        plan.entry(bias).or_insert(Draw::Zero);
                    }
                    continue;
                }
                _ => continue,
            };
            if let (Some(name), Some(fan_in)) = (source(weight), fan_in.filter(|n| *n > 0)) {
                // A weight that several nodes share is drawn for the first.
                plan.entry(name).or_insert(Draw::Normal((2.0 / fan_in as f64).sqrt()));
                if let Some(bias) = bias {
                    plan.entry(bias).or_insert(Draw::Zero);
                }
            }
        }
        plan
    }
}

fn window(dims: &[Dim]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, dim| product.checked_mul(dim.fixed()?))
}

/// `n` numbers from N(0, deviation²) by the Box-Muller transform.
fn normals(seed: u64, stream: u64, deviation: f64, n: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    // 53 random bits: uniform in (0, 1], whose logarithm is finite.
    let mut uniform = || ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        let (radius, angle) = (deviation * (-2.0 * uniform().ln()).sqrt(), TAU * uniform());
        values.extend([(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]);
    }
    values.truncate(n);
    values
}
