//! Named tensors in an order of their own.

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// As in a weight file of the network.
    pub name: String,
    /// As PyTorch has it: `[out, in / groups, k, k]`, `[out, in]`, `[C]`.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// Tensors with different names, in execution order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors(Vec<Tensor>);

impl Tensors {
    /// The one called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|tensor| tensor.name == name)
    }

    /// The one called `name`, to be changed in place.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.0.iter_mut().find(|tensor| tensor.name == name)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Tensor> {
        self.0.iter()
    }

    /// All of them, to be changed in place.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Tensor> {
        self.0.iter_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every value of every tensor is finite.
    pub fn are_finite(&self) -> bool {
        let mut values = self.0.iter().flat_map(|tensor| &tensor.values);
        values.all(|value| value.is_finite())
    }
}

impl FromIterator<Tensor> for Tensors {
    fn from_iter<I: IntoIterator<Item = Tensor>>(tensors: I) -> Self {
        Self(tensors.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Tensors {
    type Item = &'a Tensor;
    type IntoIter = std::slice::Iter<'a, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Tensors {
    type Item = Tensor;
    type IntoIter = std::vec::IntoIter<Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
