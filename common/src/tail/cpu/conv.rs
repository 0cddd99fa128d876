//! A convolution with its normalisation and activation, forwards and backwards.

use super::{
    affine::{Affine, Clip},
    depthwise::Depthwise,
    general::{General, Source},
    head::{Means, clip_back},
    maps::{Maps, Size},
    norm::{Statistics, deviations, inverse_deviation, running_affine},
    parameters::{ParameterId, Parameters},
    product::Onto,
    settle::WeightGradient,
    winograd::Winograd,
};
use crate::{
    backbone::Shape,
    panel::LANES,
    tail::{Collective, CollectiveError},
};

/// How the products are formed.
#[derive(Clone, Copy)]
pub(super) enum Kernel {
    General(General),
    Winograd(Winograd),
    Depthwise(Depthwise),
}

/// A convolution of the tail.
pub(super) struct ConvLayer {
    pub(super) kernel: Kernel,
    pub(super) weight: ParameterId,
    /// γ, β, running mean, running variance.
    pub(super) norm: [ParameterId; 4],
    pub(super) eps: f64,
    pub(super) clip: Clip,
    /// Whether training normalises by the statistics of the batch.
    pub(super) by_batch: bool,
    /// Of one image's result.
    pub(super) shape: Shape,
}

/// What the way back needs of a normalisation by the batch.
pub(super) struct Normalised {
    /// Before it.
    values: Maps,
    statistics: Statistics,
}

impl Normalised {
    /// The buffers that are not needed any more.
    pub(super) fn into_values(self) -> Maps {
        self.values
    }
}

impl ConvLayer {
    fn running(&self, parameters: &Parameters) -> Affine {
        let tensors = self.norm.map(|id| parameters.values(id));
        Affine {
            clip: self.clip,
            ..running_affine(tensors, self.eps)
        }
    }

    fn product(
        &self,
        source: Source<'_>,
        (parameters, images): (&Parameters, usize),
        finish: Option<&Affine>,
        means: Means<'_>,
    ) -> Maps {
        let shape = self.shape;
        let mut output = means.pool.maps(Size { shape, images });
        let weights = parameters.values(self.weight);
        match (self.kernel, source) {
            (Kernel::General(general), _) => {
                general.forward(source, weights, &mut output, (finish, means.pool));
            }
            (Kernel::Winograd(winograd), Source::Panels(maps)) => {
                winograd.forward(maps, weights, &mut output, (finish, means.pool));
            }
            (Kernel::Depthwise(depthwise), Source::Panels(maps)) => {
                depthwise.forward(maps, weights, &mut output, finish);
            }
            (_, Source::Planar(..)) => unreachable!("only general kernels read images"),
        }
        output
    }

    /// With running statistics.
    pub(super) fn evaluate(
        &self,
        source: Source<'_>,
        (parameters, images): (&Parameters, usize),
        means: Means<'_>,
    ) -> Maps {
        let finish = self.running(parameters);
        self.product(source, (parameters, images), Some(&finish), means)
    }

    /// With the statistics of the batch; the running ones follow.
    pub(super) fn normalise(
        &self,
        source: Source<'_>,
        (parameters, images): (&mut Parameters, usize),
        collective: &dyn Collective,
        means: Means<'_>,
    ) -> Result<(Maps, Normalised), CollectiveError> {
        let values = self.product(source, (parameters, images), None, means);
        let statistics = Statistics::of(&values, self.eps, (collective, means.isa))?;
        let [weight, bias, mean, variance] = self.norm;
        let [mean, variance] = parameters.pair_mut([mean, variance]);
        statistics.follow(mean, variance, self.shape.channels);
        let affine = Affine {
            clip: self.clip,
            ..statistics.affine([weight, bias].map(|id| parameters.values(id)))
        };
        let mut output = means.pool.maps(values.size());
        affine.apply_to(&values, &mut output, means.isa);
        Ok((output, Normalised { values, statistics }))
    }

    /// Whether any of its parameters has a gradient.
    pub(super) fn trains(&self, parameters: &Parameters) -> bool {
        let [weight, bias, ..] = self.norm;
        [self.weight, weight, bias]
            .iter()
            .any(|id| parameters.trains(*id))
    }

    /// Whether its gradients need what it read.
    pub(super) fn keeps_input(&self, parameters: &Parameters) -> bool {
        parameters.trains(self.weight) || (!self.by_batch && parameters.trains(self.norm[0]))
    }

    /// `gradient` by the result (of which `output` is kept where it is clipped) becomes that by
    /// what the products resulted in but for a scale, which is returned. Gradients of γ and β that
    /// need no products are added; what that of γ needs else is returned: Σ dy.
    fn back_through_norm(
        &self,
        (output, gradient): (Option<&Maps>, &mut Maps),
        normalised: Option<&Normalised>,
        parameters: &mut Parameters,
        (collective, means): (&dyn Collective, Means<'_>),
    ) -> Result<(Vec<f32>, Option<Vec<f64>>), CollectiveError> {
        if let Some(output) = output {
            clip_back(self.clip, output, gradient, means.isa);
        }
        let [weight, bias, ..] = self.norm;
        let channels = gradient.size().panels() * LANES;
        if let Some(Normalised { values, statistics }) = normalised {
            let affine = statistics.affine([weight, bias].map(|id| parameters.values(id)));
            let sums =
                statistics.back((values, gradient), &affine.scale, (collective, means.isa))?;
            let [sums, dots] = sums;
            parameters.add_vector(bias, sums.into_iter());
            parameters.add_vector(weight, dots.into_iter());
            return Ok((vec![1.0; channels], None));
        }
        let scale = self.running(parameters).scale;
        if !parameters.trains(weight) && !parameters.trains(bias) {
            return Ok((scale, None));
        }
        let [sums, _] = deviations(gradient, &vec![0.0; channels], means.isa);
        parameters.add_vector(bias, sums.iter().copied());
        Ok((scale, parameters.trains(weight).then_some(sums)))
    }

    /// All gradients. `source` is what was read, where [`ConvLayer::keeps_input`]; `below` is where
    /// the gradient by it goes, where that is wanted.
    pub(super) fn backward(
        &self,
        (source, output): (Option<Source<'_>>, Option<&Maps>),
        (mut gradient, normalised): (Maps, Option<Normalised>),
        parameters: &mut Parameters,
        below: Option<(&mut Maps, Onto)>,
        (collective, means): (&dyn Collective, Means<'_>),
    ) -> Result<(), CollectiveError> {
        let (scale, sums) = self.back_through_norm(
            (output, &mut gradient),
            normalised.as_ref(),
            parameters,
            (collective, means),
        )?;
        if let Some(normalised) = normalised {
            means.pool.recycle(normalised.into_values());
        }
        let wanted = (scale.as_slice(), sums.is_some());
        let dots =
            self.back_through_products((source, &gradient), wanted, parameters, (below, means));
        means.pool.recycle(gradient);
        if let Some(sums) = sums {
            let [_, _, mean, variance] = self.norm.map(|id| parameters.values(id));
            let running = mean.iter().zip(variance);
            let terms = dots.iter().zip(sums).zip(running);
            let weight: Vec<f64> = terms
                .map(|((dot, sum), (mean, variance))| {
                    let inverse = inverse_deviation(*variance, self.eps);
                    (dot - f64::from(*mean) * sum) * f64::from(inverse)
                })
                .collect();
            parameters.add_vector(self.norm[0], weight.into_iter());
        }
        Ok(())
    }

    /// Adds the gradient by the weights, if they train, and that by the inputs, if it is wanted; returns the
    /// dots, if they are.
    fn back_through_products(
        &self,
        (source, gradient): (Option<Source<'_>>, &Maps),
        (scale, dots): (&[f32], bool),
        parameters: &mut Parameters,
        (below, means): (Option<(&mut Maps, Onto)>, Means<'_>),
    ) -> Vec<f64> {
        let (onto, terms) = (
            parameters.onto(),
            parameters.packing(self.weight).term_panels(),
        );
        let (weights, to) = parameters.with_gradient(self.weight);
        let wanted = WeightGradient {
            to,
            onto,
            terms,
            scale,
            weights: dots.then_some(weights),
        };
        let maps = match source {
            Some(Source::Panels(maps)) => Some(maps),
            _ => None,
        };
        let mut dots = Vec::new();
        match self.kernel {
            Kernel::General(general) => {
                if let Some(source) = source {
                    dots = general.weight_gradient((source, gradient), wanted, means.pool);
                }
                if let Some(below) = below {
                    general.input_gradient(gradient, (weights, scale), below, means.pool);
                }
            }
            Kernel::Winograd(winograd) => {
                dots = winograd.backward((maps, gradient), wanted, (weights, below), means.pool);
            }
            Kernel::Depthwise(depthwise) => {
                if let Some(maps) = maps {
                    dots = depthwise.weight_gradient((maps, gradient), wanted);
                }
                if let Some(below) = below {
                    depthwise.input_gradient(gradient, (weights, scale), below);
                }
            }
        }
        dots
    }
}
