//! Some steps of a tail on given batches: what `tests/judges/finetune.py` compares with PyTorch's.
//!
//! ```text
//! cargo run --release --workspace --example tail_steps -- --backbone resnet18 --layer layer3 --unfreeze layer4 \
//!     --weights model.safetensors --data batches.safetensors --losses losses.json --out after.safetensors
//! ```
//!
//! Batch after batch is taken from the rows as they stand, from the first again after the last. Built with
//! `--features common/mpi`, `mpirun -n 2 tail_steps …` gives each process its share of every batch.

use std::{error::Error, fs, path::PathBuf, sync::Arc};

use clap::{Parser, ValueEnum};
use common::{
    backbone::{ValueId, registry},
    engine::{
        cpu::Isa,
        device::{DeviceChoice, Precision},
    },
    head::{HeadKind, stack::Method},
    tail::{
        Batch, Collective, GroupStep, NormMode, Selection, Step, Tail, TailOptions, Tensor,
        Tensors, Trainer,
        cpu::CpuTrainer,
        processes,
        reference::{Compute, ReferenceTrainer},
    },
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::json;

#[derive(Parser)]
struct Options {
    /// Architecture.
    #[arg(long)]
    backbone: String,
    /// Stage whose activations are the inputs; without it they are pixels.
    #[arg(long)]
    layer: Option<String>,
    /// What trains beside the head.
    #[arg(long, value_delimiter = ',')]
    unfreeze: Vec<String>,
    /// All tensors of the tail and the head, f32, with the network's names.
    #[arg(long)]
    weights: PathBuf,
    /// `inputs` [N, C, H, W] and `targets` [N, classes], f32.
    #[arg(long)]
    data: PathBuf,
    /// Rows and columns of the images.
    #[arg(long, default_value_t = 224)]
    side: usize,
    /// Hidden units of the head; 0: a linear one.
    #[arg(long, default_value_t = 0)]
    hidden: usize,
    /// Probability of dropout.
    #[arg(long, default_value_t = 0.0)]
    dropout: f32,
    /// What batch normalisations do.
    #[arg(long)]
    bn: Norms,
    /// Update rule; sgd has a momentum of 0.9.
    #[arg(long)]
    optimizer: Optimizer,
    /// Learning rate.
    #[arg(long)]
    lr: f32,
    /// Weight decay, of weights only: not of biases and norms.
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f32,
    /// Rows of a batch.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Steps.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// What runs the tail.
    #[arg(long)]
    executor: Executor,
    /// Device of the reference executor.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// Arithmetic of the reference executor: f32, f16, bf16.
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// Where the mean loss of each step is written, as JSON.
    #[arg(long)]
    losses: PathBuf,
    /// Where the tensors after the last step are written, as safetensors.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Norms {
    Frozen,
    Train,
}

#[derive(Clone, Copy, ValueEnum)]
enum Optimizer {
    Sgd,
    Nesterov,
    Adam,
    Adamw,
}

#[derive(Clone, Copy, ValueEnum)]
enum Executor {
    Cpu,
    Reference,
}

/// Rows to train on.
struct Rows {
    inputs: Vec<f32>,
    targets: Vec<f32>,
    count: usize,
    classes: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let processes = processes()?;
    let rows = read_rows(&options)?;
    let tail = build(&options, rows.classes)?;
    let mut trainer = trainer(&options, &tail, Arc::clone(&processes))?;
    let losses = train(&options, &rows, (trainer.as_mut(), &tail), &*processes)?;
    if processes.rank() == 0 {
        fs::write(&options.losses, json!({ "losses": losses }).to_string())?;
        write(&options, &trainer.tensors()?)?;
    }
    Ok(())
}

fn build(options: &Options, classes: usize) -> Result<Tail, Box<dyn Error>> {
    let network = registry::find(&options.backbone)?.network();
    let start = match &options.layer {
        Some(layer) => network.stage(layer)?.output,
        None => ValueId(0),
    };
    let selection = Selection::new(&network, &options.unfreeze)?;
    let options = TailOptions {
        input: [options.side; 2],
        norm: match options.bn {
            Norms::Frozen => NormMode::Frozen,
            Norms::Train => NormMode::Train,
        },
        head: match options.hidden {
            0 => HeadKind::Linear,
            hidden => HeadKind::Mlp { hidden },
        },
        classes,
        dropout: options.dropout,
    };
    Ok(Tail::new(network, start, selection, options)?)
}

fn trainer(
    options: &Options,
    tail: &Tail,
    processes: Arc<dyn Collective>,
) -> Result<Box<dyn Trainer>, Box<dyn Error>> {
    let bytes = fs::read(&options.weights)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let read = |name: String| -> Result<Tensor, Box<dyn Error>> {
        let (shape, values) = tensor(&file, &name)?;
        Ok(Tensor {
            name,
            shape,
            values,
        })
    };
    let parameters = tail.parameters().into_iter();
    let tensors: Result<Tensors, _> = parameters.map(|parameter| read(parameter.name)).collect();
    let processes = Box::new(processes);
    match options.executor {
        Executor::Cpu => {
            let isa = Isa::from_environment()?;
            let trainer = CpuTrainer::new(tail.clone(), &tensors?, isa, processes)?;
            Ok(Box::new(trainer))
        }
        Executor::Reference => {
            let compute = Compute {
                device: options.device.open()?,
                precision: options.precision,
            };
            let trainer = ReferenceTrainer::new(tail.clone(), &tensors?, compute, processes)?;
            Ok(Box::new(trainer))
        }
    }
}

/// The mean loss of each step.
fn train(
    options: &Options,
    rows: &Rows,
    (trainer, tail): (&mut dyn Trainer, &Tail),
    processes: &dyn Collective,
) -> Result<Vec<f32>, Box<dyn Error>> {
    let width = tail.input_shape().len();
    let groups = groups(options, trainer, tail)?;
    let share = options.batch / processes.size();
    let mut losses = Vec::new();
    for number in 1..=options.steps {
        let in_batch = processes.rank() * share;
        let first = (number - 1) * options.batch % rows.count + in_batch;
        let end = if processes.rank() + 1 == processes.size() {
            first + options.batch - in_batch
        } else {
            first + share
        };
        let seen = trainer.accumulate(&Batch {
            inputs: &rows.inputs[first * width..end * width],
            targets: &rows.targets[first * rows.classes..end * rows.classes],
            scale: 1.0 / options.batch as f32,
            first_row: in_batch,
            dropout_key: number as u64,
        })?;
        trainer.reduce()?;
        trainer.step(&Step {
            number: i32::try_from(number)?,
            method: match options.optimizer {
                Optimizer::Sgd => sgd(false),
                Optimizer::Nesterov => sgd(true),
                Optimizer::Adam => Method::Adam,
                Optimizer::Adamw => Method::AdamW,
            },
            scale: 1.0,
            groups: &groups,
        })?;
        let mut loss = [seen.loss.total as f32];
        processes.sum(&mut loss)?;
        losses.push(loss[0] / options.batch as f32);
    }
    Ok(losses)
}

fn sgd(nesterov: bool) -> Method {
    Method::Sgd {
        momentum: 0.9,
        nesterov,
    }
}

/// One learning rate for all; weight decay for what has more than one axis.
fn groups(
    options: &Options,
    trainer: &dyn Trainer,
    tail: &Tail,
) -> Result<Vec<GroupStep>, Box<dyn Error>> {
    let tensors = trainer.tensors()?;
    let group = |name: &String| {
        let tensor = tensors.get(name);
        let is_weight = tensor.is_some_and(|tensor| tensor.shape.len() > 1);
        GroupStep {
            learning_rate: options.lr,
            weight_decay: if is_weight { options.weight_decay } else { 0.0 },
        }
    };
    Ok(tail.trained().iter().map(group).collect())
}

fn read_rows(options: &Options) -> Result<Rows, Box<dyn Error>> {
    let bytes = fs::read(&options.data)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let (_, inputs) = tensor(&file, "inputs")?;
    let (shape, targets) = tensor(&file, "targets")?;
    if shape.len() != 2 || shape[0] % options.batch != 0 {
        return Err("targets: not a whole number of batches".into());
    }
    Ok(Rows {
        inputs,
        targets,
        count: shape[0],
        classes: shape[1],
    })
}

/// Shape and values of the f32 tensor `name`.
fn tensor(file: &SafeTensors, name: &str) -> Result<(Vec<usize>, Vec<f32>), Box<dyn Error>> {
    let view = file
        .tensor(name)
        .map_err(|error| format!("{name}: {error}"))?;
    if view.dtype() != Dtype::F32 {
        return Err(format!("{name}: {:?}, expected F32", view.dtype()).into());
    }
    let values = view.data().as_chunks().0.iter();
    Ok((
        view.shape().to_vec(),
        values.map(|bytes| f32::from_le_bytes(*bytes)).collect(),
    ))
}

fn write(options: &Options, tensors: &Tensors) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?;
        Ok((tensor.name.clone(), view))
    });
    let views: Result<Vec<_>, safetensors::SafeTensorError> = views.collect();
    Ok(safetensors::serialize_to_file(views?, None, &options.out)?)
}
