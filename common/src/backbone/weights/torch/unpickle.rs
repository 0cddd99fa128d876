//! A strict unpickler: values go into a flat arena and refer to each other by
//! index, so that sharing costs nothing, nothing is copied, and neither
//! reading nor dropping recurses, however the values are nested.

use std::collections::HashMap;

use super::{TorchError, globals::Global, opcodes as op};

/// Most values that a pickle may make. A ResNet-152 makes about 30,000; with
/// an optimiser's state beside it, four times as many.
pub(super) const MAX_VALUES: usize = 1 << 20;

/// Longest pickle that is read, in bytes.
pub(super) const MAX_PICKLE_BYTES: usize = 64 << 20;

/// Position of a value in the arena.
pub(super) type Id = usize;

/// One unpickled value; text borrows from the pickle.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Global(Global),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A call that was asked for and not made.
    Call(Global, Id),
    /// A persistent id: torch's reference to a storage.
    Persistent(Id),
    /// None, a float, bytes: what no tensor is described with.
    Inert,
}

/// A whole pickle.
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
    /// Bytes up to and including the last instruction.
    pub(super) length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads one pickle from the front of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, TorchError> {
        let mut machine = Machine::new(&bytes[..bytes.len().min(MAX_PICKLE_BYTES)]);
        while machine.step()? {}
        let root = machine.pop()?;
        Ok(Self {
            values: machine.values,
            root,
            length: machine.at,
        })
    }

    pub(super) fn root(&self) -> &Value<'a> {
        self.get(self.root)
    }

    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        // Ids are made by the machine only, and it never removes a value.
        &self.values[id]
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Value<'a>> {
        self.values.iter()
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Stack heights at the open marks.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
    /// Pairs that [`Machine::initial_pairs`] has copied.
    copied: usize,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copied: 0,
        }
    }

    /// Performs one instruction; `false` after the last one.
    fn step(&mut self) -> Result<bool, TorchError> {
        let at = self.at;
        let code = self.take_u8()?;
        match code {
            op::STOP => return Ok(false),
            op::PROTO => self.skip(1)?,
            op::FRAME => self.skip(8)?,
            op::MARK => self.marks.push(self.stack.len()),
            op::NONE => self.push(Value::Inert)?,
            op::BINFLOAT => {
                self.skip(8)?;
                self.push(Value::Inert)?;
            }
            op::NEWTRUE => self.push(Value::Bool(true))?,
            op::NEWFALSE => self.push(Value::Bool(false))?,
            op::BININT | op::BININT1 | op::BININT2 | op::LONG1 => self.integer(code)?,
            op::BINUNICODE | op::SHORT_BINUNICODE | op::BINSTRING | op::SHORT_BINSTRING => {
                let text = self.text(code)?;
                self.push(Value::Text(text))?;
            }
            op::BINBYTES | op::SHORT_BINBYTES => {
                self.block(code == op::SHORT_BINBYTES)?;
                self.push(Value::Inert)?;
            }
            op::EMPTY_LIST => self.push(Value::List(Vec::new()))?,
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new()))?,
            op::EMPTY_TUPLE => self.tuple(0)?,
            op::TUPLE1 => self.tuple(1)?,
            op::TUPLE2 => self.tuple(2)?,
            op::TUPLE3 => self.tuple(3)?,
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))?;
            }
            op::APPEND | op::APPENDS | op::SETITEM | op::SETITEMS => self.extend(code)?,
            op::GLOBAL | op::STACK_GLOBAL => self.global(code)?,
            op::REDUCE | op::NEWOBJ => self.call()?,
            // The state of an object: a state dict's `_metadata`, a
            // namespace's fields. No tensor is described there.
            op::BUILD => {
                self.pop()?;
                self.top()?;
            }
            op::BINPERSID => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))?;
            }
            op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.remember(code)?,
            op::BINGET | op::LONG_BINGET => self.recall(code)?,
            code => return Err(TorchError::UnsupportedOpcode { code, at }),
        }
        Ok(true)
    }

    fn integer(&mut self, code: u8) -> Result<(), TorchError> {
        let value = match code {
            op::BININT1 => Value::Int(self.take_u8()?.into()),
            op::BININT2 => Value::Int(u16::from_le_bytes(self.take()?).into()),
            op::BININT => Value::Int(i32::from_le_bytes(self.take()?).into()),
            _ => {
                let digits = self.block(true)?;
                match digits.last() {
                    None => Value::Int(0),
                    // Larger numbers are seeds and the like, not sizes.
                    Some(_) if digits.len() > size_of::<i64>() => Value::Inert,
                    Some(&sign) => {
                        let fill = if sign & 0x80 == 0 { 0 } else { 0xff };
                        let mut bytes = [fill; size_of::<i64>()];
                        bytes[..digits.len()].copy_from_slice(digits);
                        Value::Int(i64::from_le_bytes(bytes))
                    }
                }
            }
        };
        self.push(value)
    }

    fn text(&mut self, code: u8) -> Result<&'a str, TorchError> {
        let block = self.block(matches!(code, op::SHORT_BINUNICODE | op::SHORT_BINSTRING))?;
        std::str::from_utf8(block).map_err(|_| self.malformed("text that is not UTF-8"))
    }

    fn tuple(&mut self, count: usize) -> Result<(), TorchError> {
        let mut items = vec![0; count];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push(Value::Tuple(items))
    }

    fn extend(&mut self, code: u8) -> Result<(), TorchError> {
        let items = match code {
            op::APPEND => vec![self.pop()?],
            op::SETITEM => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        let is_dict_code = matches!(code, op::SETITEM | op::SETITEMS);
        let target = self.top()?;
        match &mut self.values[target] {
            Value::List(list) if !is_dict_code => list.extend(items),
            Value::Dict(dict) if is_dict_code => {
                let (pairs, rest) = items.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(self.malformed("a key without a value"));
                }
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            Value::Inert => {}
            _ => return Err(self.malformed("items for what is no container")),
        }
        Ok(())
    }

    fn global(&mut self, code: u8) -> Result<(), TorchError> {
        let (module, name) = if code == op::GLOBAL {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (&self.values[module], &self.values[name]) {
                (&Value::Text(module), &Value::Text(name)) => (module, name),
                _ => return Err(self.malformed("a name that is no text")),
            }
        };
        match Global::lookup(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(TorchError::RefusedName {
                module: module.to_owned(),
                name: name.to_owned(),
            }),
        }
    }

    fn call(&mut self) -> Result<(), TorchError> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let value = match self.values[callable] {
            Value::Global(Global::Dict) => Value::Dict(self.initial_pairs(arguments)?),
            Value::Global(Global::Inert) => Value::Inert,
            Value::Global(global) => Value::Call(global, arguments),
            _ => return Err(self.malformed("a call of what is no function")),
        };
        self.push(value)
    }

    /// Python 2 writes an `OrderedDict` as a call with a list of pairs.
    fn initial_pairs(&mut self, arguments: Id) -> Result<Vec<(Id, Id)>, TorchError> {
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Ok(Vec::new());
        };
        let Some(Value::List(pairs)) = arguments.first().map(|&id| &self.values[id]) else {
            return Ok(Vec::new());
        };
        // The one place that copies: the same list may be named again and again.
        self.copied += pairs.len();
        check_count(self.copied)?;
        let pair = |&id: &Id| match &self.values[id] {
            Value::Tuple(pair) | Value::List(pair) => match pair[..] {
                [key, value] => Some((key, value)),
                _ => None,
            },
            _ => None,
        };
        Ok(pairs.iter().filter_map(pair).collect())
    }

    fn remember(&mut self, code: u8) -> Result<(), TorchError> {
        let key = match code {
            op::BINPUT => self.take_u8()?.into(),
            op::LONG_BINPUT => u32::from_le_bytes(self.take()?) as usize,
            _ => self.memo.len(),
        };
        let id = self.top()?;
        self.memo.insert(key, id);
        check_count(self.memo.len())
    }

    fn recall(&mut self, code: u8) -> Result<(), TorchError> {
        let key = match code {
            op::BINGET => self.take_u8()?.into(),
            _ => u32::from_le_bytes(self.take()?) as usize,
        };
        let id = *self
            .memo
            .get(&key)
            .ok_or_else(|| self.malformed("a memo entry that was never made"))?;
        self.stack.push(id);
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), TorchError> {
        self.stack.push(self.values.len());
        self.values.push(value);
        check_count(self.values.len())
    }

    fn pop(&mut self) -> Result<Id, TorchError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The topmost value above the last mark.
    fn top(&self) -> Result<Id, TorchError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => Err(self.malformed("an instruction without its operand")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, TorchError> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => Err(self.malformed("items without a mark")),
        }
    }

    /// A length of one byte (`short`) or four, and that many bytes.
    fn block(&mut self, short: bool) -> Result<&'a [u8], TorchError> {
        let length = if short {
            self.take_u8()?.into()
        } else {
            u32::from_le_bytes(self.take()?) as usize
        };
        let block = self.bytes[self.at..]
            .get(..length)
            .ok_or_else(|| self.truncated())?;
        self.at += length;
        Ok(block)
    }

    fn line(&mut self) -> Result<&'a str, TorchError> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or_else(|| self.truncated())?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| self.malformed("text that is not UTF-8"))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], TorchError> {
        let bytes = *self.bytes[self.at..]
            .first_chunk()
            .ok_or_else(|| self.truncated())?;
        self.at += N;
        Ok(bytes)
    }

    fn take_u8(&mut self) -> Result<u8, TorchError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), TorchError> {
        if self.bytes.len() - self.at < count {
            return Err(self.truncated());
        }
        self.at += count;
        Ok(())
    }

    fn truncated(&self) -> TorchError {
        if self.bytes.len() == MAX_PICKLE_BYTES {
            return TorchError::TooLarge {
                limit: MAX_PICKLE_BYTES,
                what: "bytes",
            };
        }
        TorchError::TruncatedPickle {
            at: self.bytes.len(),
        }
    }

    fn malformed(&self, reason: &'static str) -> TorchError {
        TorchError::MalformedPickle {
            reason,
            at: self.at,
        }
    }
}

fn check_count(count: usize) -> Result<(), TorchError> {
    if count > MAX_VALUES {
        return Err(TorchError::TooLarge {
            limit: MAX_VALUES,
            what: "values",
        });
    }
    Ok(())
}
