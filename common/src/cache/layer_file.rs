//! Writing one layer of one part: rows gather into record batches, which stream
//! into a temporary file that is hashed on the way.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use arrow::{
    array::{
        ArrayRef, DictionaryArray, FixedSizeListArray, Float16Array, Float32Array, Int8Array,
        Int32Array, RecordBatch, StringBuilder, UInt8Array, UInt64Array,
    },
    datatypes::SchemaRef,
    error::ArrowError,
    ipc::writer::{FileWriter, IpcWriteOptions},
};
use half::f16;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use super::{
    FeatureDtype, FileFormat, FileRecord, Layer,
    error::{arrow_io, parquet_io},
    schema::{self, COLUMNS, ITEM},
};
use crate::{digest::Hasher, publish::Pending, source::Sample};

/// Features of one record batch, in bytes, at most (but at least one row). It
/// bounds the memory of a writer and fixes the bytes of its files.
pub const BATCH_BYTES: usize = 4 << 20;

/// Rows of one record batch at most, however small the features are.
pub const BATCH_ROWS: usize = 8192;

/// Features of one Parquet row group, in bytes, at most (but at least one row).
pub const ROW_GROUP_BYTES: usize = 32 << 20;

/// Alignment of every buffer in an Arrow file, in bytes: a cache line, and
/// AVX-512's vector.
pub const ARROW_ALIGNMENT: usize = 64;

/// One layer's file of a part in the making.
pub(super) struct LayerFile {
    rows: Rows,
    batch_rows: usize,
    sink: Sink,
    record_path: String,
}

enum Sink {
    Arrow(Box<FileWriter<Hashing>>),
    Parquet(Box<ArrowWriter<Hashing>>),
}

/// Rows of a batch: `layer` of one part as `Layer::dim` values each.
pub(super) fn batch_rows(layer: &Layer) -> usize {
    (BATCH_BYTES / layer.row_bytes()).clamp(1, BATCH_ROWS)
}

impl LayerFile {
    /// Starts the file `record_path` (relative to the cache in `directory`).
    pub(super) fn create(
        directory: &Path,
        record_path: String,
        layer: &Layer,
        format: FileFormat,
    ) -> io::Result<Self> {
        let output = Hashing::create(&directory.join(&record_path))?;
        let schema = schema::schema(layer);
        let sink = match format {
            FileFormat::Arrow => {
                Sink::Arrow(Box::new(arrow_writer(output, &schema).map_err(arrow_io)?))
            }
            FileFormat::Parquet => {
                let writer = ArrowWriter::try_new(
                    output,
                    Arc::clone(&schema),
                    Some(parquet_properties(layer)),
                );
                Sink::Parquet(Box::new(writer.map_err(parquet_io)?))
            }
        };
        Ok(Self {
            rows: Rows::new(layer, schema),
            batch_rows: batch_rows(layer),
            sink,
            record_path,
        })
    }

    /// Adds a row; `values` are finite and fit the dtype.
    pub(super) fn push(
        &mut self,
        id: u64,
        view: u8,
        sample: &Sample,
        values: &[f32],
    ) -> io::Result<()> {
        self.rows.push(id, view, sample, values);
        if self.rows.len() < self.batch_rows {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let batch = self.rows.take().map_err(arrow_io)?;
        match &mut self.sink {
            Sink::Arrow(writer) => writer.write(&batch).map_err(arrow_io),
            Sink::Parquet(writer) => writer.write(&batch).map_err(parquet_io),
        }
    }

    /// Writes what is left and the footer.
    pub(super) fn finish(mut self) -> io::Result<FinishedFile> {
        if self.rows.len() > 0 {
            self.flush()?;
        }
        let output = match self.sink {
            Sink::Arrow(writer) => writer.into_inner().map_err(arrow_io)?,
            Sink::Parquet(writer) => writer.into_inner().map_err(parquet_io)?,
        };
        let record = FileRecord {
            path: self.record_path,
            bytes: output.bytes,
            sha256: output.hasher.finish(),
        };
        Ok(FinishedFile {
            pending: output.pending,
            record,
        })
    }
}

/// A whole file under its temporary name.
pub(super) struct FinishedFile {
    pending: Pending,
    record: FileRecord,
}

impl FinishedFile {
    /// Path relative to the cache.
    pub(super) fn path(&self) -> &str {
        &self.record.path
    }

    /// Makes the file visible.
    pub(super) fn publish(self) -> io::Result<FileRecord> {
        self.pending.publish()?;
        Ok(self.record)
    }
}

fn arrow_writer(output: Hashing, schema: &SchemaRef) -> Result<FileWriter<Hashing>, ArrowError> {
    let version = arrow::ipc::MetadataVersion::V5;
    let options = IpcWriteOptions::try_new(ARROW_ALIGNMENT, false, version)?;
    FileWriter::try_new_with_options(output, schema, options)
}

/// zstd everywhere. Features in f32 as BYTE_STREAM_SPLIT: it takes MobileNetV2's
/// pooled features to 0.80 of their size, PLAIN to 0.87, and reads as fast. In
/// f16 as PLAIN, because DuckDB does not read the other. Floats repeat too rarely
/// for a dictionary, and a page's smallest feature tells nobody anything.
fn parquet_properties(layer: &Layer) -> WriterProperties {
    let [id, uri, _, _, _, embedding] = COLUMNS;
    let column = |name: &str| ColumnPath::from(name);
    let values = ColumnPath::new([embedding, "list", ITEM].map(str::to_owned).to_vec());
    let encoding = match layer.dtype {
        FeatureDtype::F16 => Encoding::PLAIN,
        FeatureDtype::F32 => Encoding::BYTE_STREAM_SPLIT,
    };
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some((ROW_GROUP_BYTES / layer.row_bytes()).max(1)))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_dictionary_enabled(column(id), false)
        .set_column_encoding(column(id), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(column(uri), false)
        .set_column_encoding(column(uri), Encoding::DELTA_BYTE_ARRAY)
        .set_column_dictionary_enabled(values.clone(), false)
        .set_column_encoding(values.clone(), encoding)
        .set_column_statistics_enabled(values, EnabledStatistics::None)
        .build()
}

/// Columns of the batch that is being gathered.
struct Rows {
    schema: SchemaRef,
    dim: i32,
    dtype: FeatureDtype,
    splits: ArrayRef,
    id: Vec<u64>,
    uri: StringBuilder,
    label: Vec<i32>,
    split: Vec<i8>,
    view: Vec<u8>,
    values: Values,
}

enum Values {
    F16(Vec<f16>),
    F32(Vec<f32>),
}

impl Values {
    fn empty(dtype: FeatureDtype) -> Self {
        match dtype {
            FeatureDtype::F16 => Self::F16(Vec::new()),
            FeatureDtype::F32 => Self::F32(Vec::new()),
        }
    }
}

impl Rows {
    fn new(layer: &Layer, schema: SchemaRef) -> Self {
        Self {
            schema,
            dim: i32::try_from(layer.dim()).unwrap_or(i32::MAX),
            dtype: layer.dtype,
            splits: schema::split_dictionary(),
            id: Vec::new(),
            uri: StringBuilder::new(),
            label: Vec::new(),
            split: Vec::new(),
            view: Vec::new(),
            values: Values::empty(layer.dtype),
        }
    }

    fn len(&self) -> usize {
        self.id.len()
    }

    fn push(&mut self, id: u64, view: u8, sample: &Sample, values: &[f32]) {
        self.id.push(id);
        self.uri.append_value(&sample.uri);
        self.label.push(sample.label);
        self.split.push(sample.split.index() as i8);
        self.view.push(view);
        match &mut self.values {
            Values::F16(stored) => stored.extend(values.iter().map(|&value| f16::from_f32(value))),
            Values::F32(stored) => stored.extend_from_slice(values),
        }
    }

    /// The gathered rows as a batch; the columns start anew.
    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let values = std::mem::replace(&mut self.values, Values::empty(self.dtype));
        let values: ArrayRef = match values {
            Values::F16(values) => Arc::new(Float16Array::from(values)),
            Values::F32(values) => Arc::new(Float32Array::from(values)),
        };
        let item = Arc::new(schema::item_field(self.dtype));
        let split = Int8Array::from(std::mem::take(&mut self.split));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(std::mem::take(&mut self.id))),
            Arc::new(self.uri.finish()),
            Arc::new(Int32Array::from(std::mem::take(&mut self.label))),
            Arc::new(DictionaryArray::try_new(split, Arc::clone(&self.splits))?),
            Arc::new(UInt8Array::from(std::mem::take(&mut self.view))),
            Arc::new(FixedSizeListArray::try_new(item, self.dim, values, None)?),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// A pending file that is hashed and counted while it is written.
struct Hashing {
    pending: Pending,
    hasher: Hasher,
    bytes: u64,
}

impl Hashing {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            pending: Pending::create(path)?,
            hasher: Hasher::default(),
            bytes: 0,
        })
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.pending.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pending.flush()
    }
}
