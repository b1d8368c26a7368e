//! tract, from ONNX.
use std::path::Path;
use std::sync::Arc;

use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

use crate::case::{Case, Outputs};
use crate::{Fallible, Peer};

pub(crate) struct Tract {
    plan: Arc<TypedRunnableModel>,
    inputs: TVec<TValue>,
    out: TVec<TValue>,
}

impl Tract {
    pub(crate) fn new(path: &Path, case: &Case, threads: usize) -> Fallible<Tract> {
        if threads > 1 {
            set_default_executor(Executor::multithread(threads));
        }
        let plan = tract_onnx::onnx()
            .model_for_path(path)?
            .into_optimized()?
            .into_runnable()?;
        let state =
            |values: &[f32]| -> Fallible<TValue> {
                Ok(Tensor::from_shape(&case.shape, values)?.into())
            };
        let inputs = tvec!(state(&case.z_h)?, state(&case.z_l)?, state(&case.x)?);
        Ok(Tract {
            plan,
            inputs,
            out: tvec!(),
        })
    }
}

impl Peer for Tract {
    fn step(&mut self) -> Fallible<()> {
        self.out = self.plan.run(self.inputs.clone())?;
        Ok(())
    }

    fn outputs(&mut self) -> Fallible<Outputs> {
        let floats = |i: usize| -> Fallible<Vec<f32>> {
            Ok(self.out[i]
                .to_plain_array_view::<f32>()?
                .iter()
                .copied()
                .collect())
        };
        Ok(Outputs {
            states: [floats(0)?, floats(1)?],
            halting: floats(2)?,
            answer: self.out[3]
                .to_plain_array_view::<i64>()?
                .iter()
                .copied()
                .collect(),
        })
    }
}
