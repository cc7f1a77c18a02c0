//! The operators of sets: `|`, `&`, `-` and `^`, on [`NodeSet`] and on [`RangeSet`].

use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Sub, SubAssign};

use super::{NodeSet, RangeSet};

/// The operator and its assigning form, for values and references on either side.
macro_rules! operator {
    ($set:ty, $trait:ident $method:ident, $assign:ident $assigned:ident, $operation:ident) => {
        impl $assign<&$set> for $set {
            fn $assigned(&mut self, other: &$set) {
                self.$operation(other);
            }
        }

        impl $assign for $set {
            fn $assigned(&mut self, other: $set) {
                self.$operation(&other);
            }
        }

        impl $trait<&$set> for $set {
            type Output = $set;

            fn $method(mut self, other: &$set) -> $set {
                self.$operation(other);
                self
            }
        }

        impl $trait for $set {
            type Output = $set;

            fn $method(mut self, other: $set) -> $set {
                self.$operation(&other);
                self
            }
        }

        impl $trait<&$set> for &$set {
            type Output = $set;

            fn $method(self, other: &$set) -> $set {
                let mut value = self.clone();
                value.$operation(other);
                value
            }
        }
    };
}

macro_rules! operators {
    ($set:ty) => {
        operator!($set, BitOr bitor, BitOrAssign bitor_assign, union);
        operator!($set, BitAnd bitand, BitAndAssign bitand_assign, intersection);
        operator!($set, Sub sub, SubAssign sub_assign, difference);
        operator!($set, BitXor bitxor, BitXorAssign bitxor_assign, symmetric_difference);
    };
}

operators!(NodeSet);
operators!(RangeSet);
