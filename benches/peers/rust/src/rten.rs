//! rten, from ONNX.
use std::path::Path;
use std::sync::Arc;

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::{AsView, Tensor};

use crate::case::{Case, Outputs};
use crate::{Fallible, Peer};

pub(crate) struct Rten {
    model: Model,
    pool: Arc<ThreadPool>,
    inputs: Vec<(NodeId, Value)>,
    names: Vec<NodeId>,
    out: Vec<Value>,
}

impl Rten {
    /// `packed`: whether weights are packed at loading, once for each use.
    pub(crate) fn new(path: &Path, case: &Case, threads: usize, packed: bool) -> Fallible<Rten> {
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(packed);
        let model = options.load_file(path)?;
        let state = |name: &str, values: &[f32]| -> Fallible<(NodeId, Value)> {
            Ok((
                model.node_id(name)?,
                Tensor::from_data(&case.shape, values.to_vec()).into(),
            ))
        };
        let inputs = vec![
            state("z_h", &case.z_h)?,
            state("z_l", &case.z_l)?,
            state("x", &case.x)?,
        ];
        let names = ["out.z_h", "out.z_l", "out.halting", "out.answer"];
        let names = names
            .iter()
            .map(|name| Ok(model.node_id(name)?))
            .collect::<Fallible<_>>()?;
        let pool = Arc::new(ThreadPool::with_num_threads(threads));
        Ok(Rten {
            model,
            pool,
            inputs,
            names,
            out: Vec::new(),
        })
    }
}

impl Peer for Rten {
    fn step(&mut self) -> Fallible<()> {
        let given = self
            .inputs
            .iter()
            .map(|(id, value)| (*id, value.as_view().into()))
            .collect();
        let options = RunOptions::default().with_thread_pool(Some(self.pool.clone()));
        self.out = self.model.run(given, &self.names, Some(options))?;
        Ok(())
    }

    fn outputs(&mut self) -> Fallible<Outputs> {
        let mut out = std::mem::take(&mut self.out).into_iter();
        let mut next = || out.next().ok_or("rten gave too few outputs");
        let states = [
            Tensor::<f32>::try_from(next()?)?.to_vec(),
            Tensor::<f32>::try_from(next()?)?.to_vec(),
        ];
        let halting = Tensor::<f32>::try_from(next()?)?.to_vec();
        let answer = Tensor::<i32>::try_from(next()?)?
            .to_vec()
            .into_iter()
            .map(i64::from)
            .collect();
        Ok(Outputs {
            states,
            halting,
            answer,
        })
    }
}
