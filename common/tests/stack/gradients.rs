//! Gradients against candle's autograd and against slopes of the loss.

use candle_core::{Device, Tensor, Var};
use candle_nn::loss::cross_entropy;
use common::head::{
    Head, HeadKind,
    stack::{Member, Method},
};

use crate::{Rows, assert_close, member, parameters, stack};

const PLAIN: Method = Method::Sgd {
    momentum: 0.0,
    nesterov: false,
};

fn waves(rows: usize, width: usize, classes: u32) -> Rows {
    Rows {
        values: (0..rows * width).map(|i| (i as f32 * 0.7).sin()).collect(),
        labels: (0..rows as u32).map(|row| row % classes).collect(),
    }
}

/// Gradients of all parameters by candle.
fn autograd(head: &Head, rows: &Rows) -> Vec<Vec<f32>> {
    let device = Device::Cpu;
    let shape = (rows.labels.len(), rows.width());
    let mut output = Tensor::from_slice(&rows.values, shape, &device).unwrap();
    let mut variables = Vec::new();
    for (index, layer) in head.layers().iter().enumerate() {
        let shape = (layer.outputs, layer.inputs);
        let weight = Tensor::from_slice(&layer.weight, shape, &device).unwrap();
        let bias = Tensor::from_slice(&layer.bias, layer.outputs, &device).unwrap();
        let (weight, bias) = (
            Var::from_tensor(&weight).unwrap(),
            Var::from_tensor(&bias).unwrap(),
        );
        if index > 0 {
            output = output.relu().unwrap();
        }
        output = output.matmul(&weight.t().unwrap()).unwrap();
        output = output.broadcast_add(&bias).unwrap();
        variables.extend([weight, bias]);
    }
    let labels = Tensor::new(&rows.labels[..], &device).unwrap();
    let gradients = cross_entropy(&output, &labels).unwrap().backward().unwrap();
    let values = |variable: &Var| {
        let gradient = gradients.get(variable).unwrap().flatten_all().unwrap();
        gradient.to_vec1().unwrap()
    };
    variables.iter().map(values).collect()
}

#[test]
fn gradients_are_those_of_candles_autograd() {
    // 150 rows are three blocks, the last of them short; no size is a whole panel.
    for (rows, width, classes, kind) in [
        (33, 17, 6, HeadKind::Linear),
        (150, 35, 40, HeadKind::Linear),
        (33, 17, 6, HeadKind::Mlp { hidden: 9 }),
        (150, 35, 40, HeadKind::Mlp { hidden: 50 }),
    ] {
        let rows = waves(rows, width, classes);
        let head = Head::random(kind, width, classes as usize, 5);
        let mut stack = stack(
            vec![member(head.clone(), PLAIN)],
            vec![1.0; classes as usize],
        );
        rows.step(&mut stack, (0, rows.labels.len()), &[1.0]);
        let after = stack.head(0).unwrap();
        let pairs = parameters(&head).into_iter().zip(parameters(&after));
        for ((before, after), expected) in pairs.zip(autograd(&head, &rows)) {
            let found: Vec<f32> = before.iter().zip(after).map(|(a, b)| a - b).collect();
            assert_close(&found, &expected, 1e-6, &kind.to_string());
        }
    }
}

/// The loss of `head` under the first step's dropout, and the head after that step.
fn dropped(head: &Head, rows: &Rows) -> (f64, Head) {
    let dropping = Member {
        dropout: 0.4,
        ..member(head.clone(), PLAIN)
    };
    let mut stack = stack(vec![dropping], vec![1.0; head.classes()]);
    let seen = rows.step(&mut stack, (0, rows.labels.len()), &[1.0])[0];
    (seen.loss.mean(), stack.head(0).unwrap())
}

#[test]
fn gradients_go_through_dropout() {
    let mut head = Head::random(HeadKind::Mlp { hidden: 8 }, 5, 3, 2);
    let rows = waves(12, 5, 3);
    let (_, after) = dropped(&head, &rows);
    for (layer, index) in [(0, 3), (0, 17), (1, 2), (1, 20)] {
        let step = 1e-3;
        let value = head.layers()[layer].weight[index];
        let mut loss_at = |shift: f32| {
            head.layers_mut()[layer].weight[index] = value + shift;
            dropped(&head, &rows).0
        };
        let slope = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
        loss_at(0.0);
        let found = f64::from(value - after.layers()[layer].weight[index]);
        assert!(
            (found - slope).abs() < 2e-4,
            "{layer} {index}: {found} {slope}"
        );
    }
}
