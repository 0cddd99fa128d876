//! The integer engine against integers by definition, on every instruction set
//! of the machine.

mod layers;
mod naive;
mod narrowed;
mod networks;
mod products;
