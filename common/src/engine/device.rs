//! Where the backbone runs, and in which precision.

use std::{fmt, str::FromStr};

use candle_core::{DType, Device};

use super::EngineError;

/// The `--device` option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A CUDA device where this build and machine have one, else the CPU: the first device, or of the processes that
    /// a launcher has started on this machine each its own, in turn.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device with this ordinal.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|ordinal| ordinal.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("`{text}` is not a device (auto, cpu, cuda:0)")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(ordinal) => write!(formatter, "cuda:{ordinal}"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// [`EngineError::DeviceUnavailable`] for a CUDA device that this build or
    /// machine does not have. `Auto` never fails: it takes the CPU then.
    pub fn open(self) -> Result<Device, EngineError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Ok(open_own_cuda().unwrap_or(Device::Cpu)),
            Self::Cuda(ordinal) => {
                open_cuda(ordinal).map_err(|reason| EngineError::DeviceUnavailable {
                    device: self.to_string(),
                    reason,
                })
            }
        }
    }
}

/// What launchers tell a process about its number on its machine: Open MPI's `mpirun`, MPICH's, and Slurm's
/// `srun`.
#[cfg(any(feature = "cuda", test))]
const LOCAL_NUMBERS: [&str; 3] = [
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "SLURM_LOCALID",
];

/// The device of this one of the processes on this machine: those behind the last device begin at the first again.
#[cfg(any(feature = "cuda", test))]
fn own_ordinal(variable: impl Fn(&str) -> Option<String>, devices: usize) -> usize {
    let mut numbers = LOCAL_NUMBERS
        .into_iter()
        .filter_map(|name| variable(name)?.parse().ok());
    let number: usize = numbers.next().unwrap_or(0);
    number % devices.max(1)
}

#[cfg(feature = "cuda")]
fn open_own_cuda() -> Result<Device, String> {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;

    let devices = CudaContext::device_count().map_err(|error| error.to_string())?;
    let devices = usize::try_from(devices).unwrap_or(0);
    open_cuda(own_ordinal(|name| std::env::var(name).ok(), devices))
}

#[cfg(not(feature = "cuda"))]
fn open_own_cuda() -> Result<Device, String> {
    open_cuda(0)
}

#[cfg(feature = "cuda")]
fn open_cuda(ordinal: usize) -> Result<Device, String> {
    Device::new_cuda(ordinal)
        .map_err(|error| format!("{error} (check `nvidia-smi`, or use --device cpu)"))
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_ordinal: usize) -> Result<Device, String> {
    Err("this build has no CUDA support (build with --features cuda, or use --device cpu)".into())
}

/// How a device is named to the user: `cpu`, `cuda:0`.
pub fn device_name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// Arithmetic of the backbone: the `--precision` option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit IEEE floats; GPU only.
    F16,
    /// 16-bit brain floats; GPU only.
    Bf16,
    /// Integers, calibrated on a sample; CPU only.
    Int8,
}

impl Precision {
    /// Name in options and in the fingerprint.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// Whether there is an executor for it on `device`.
    ///
    /// # Errors
    /// [`EngineError::PrecisionUnavailable`] for 16-bit floats on a CPU, which
    /// computes them slower and less exactly than f32, and for int8 elsewhere.
    pub fn check(self, device: &Device) -> Result<(), EngineError> {
        let available = match self {
            Self::F32 => true,
            Self::F16 | Self::Bf16 => !device.is_cpu(),
            Self::Int8 => device.is_cpu(),
        };
        if available {
            Ok(())
        } else {
            Err(self.unavailable(device))
        }
    }

    /// The tensor type on `device`.
    ///
    /// # Errors
    /// As [`Precision::check`]; int8 is no tensor type at all.
    pub fn dtype(self, device: &Device) -> Result<DType, EngineError> {
        self.check(device)?;
        match self {
            Self::F32 => Ok(DType::F32),
            Self::F16 => Ok(DType::F16),
            Self::Bf16 => Ok(DType::BF16),
            Self::Int8 => Err(self.unavailable(device)),
        }
    }

    fn unavailable(self, device: &Device) -> EngineError {
        EngineError::PrecisionUnavailable {
            precision: self.as_str().to_owned(),
            device: device_name(device),
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            "int8" => Ok(Self::Int8),
            _ => Err(format!(
                "`{text}` is not a precision (f32, f16, bf16, int8)"
            )),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_round_trip_and_others_are_refused() {
        for name in ["auto", "cpu", "cuda:1"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert!("cuda:x".parse::<DeviceChoice>().is_err());
        assert!("gpu".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn processes_on_one_machine_take_its_devices_in_turn() {
        let as_number = |text: &'static str| {
            move |name: &str| (name == "SLURM_LOCALID").then(|| text.to_owned())
        };
        assert_eq!(own_ordinal(|_| None, 4), 0);
        assert_eq!(own_ordinal(as_number("3"), 4), 3);
        // With `srun --gpus-per-task=1` a process sees one device.
        assert_eq!(own_ordinal(as_number("3"), 1), 0);
        assert_eq!(own_ordinal(as_number("5"), 4), 1);
        assert_eq!(own_ordinal(as_number("5"), 0), 0);
    }

    #[test]
    fn half_precision_on_the_cpu_is_refused() {
        let error = Precision::F16.dtype(&Device::Cpu).unwrap_err();
        assert_eq!(
            error.to_string(),
            "precision f16 is not available on cpu (use f32)"
        );
    }

    #[test]
    fn int8_is_for_the_cpu_and_no_tensor_type() {
        assert!(Precision::Int8.check(&Device::Cpu).is_ok());
        assert!(Precision::Int8.dtype(&Device::Cpu).is_err());
        assert_eq!("int8".parse(), Ok(Precision::Int8));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_without_the_feature_is_a_clear_error_and_auto_takes_the_cpu() {
        let error = DeviceChoice::Cuda(0).open().unwrap_err().to_string();
        assert!(error.contains("cuda:0") && error.contains("--features cuda"));
        assert!(DeviceChoice::Auto.open().unwrap().is_cpu());
    }
}
