//! Writes the hyper-parameters of `config.json`.

use serde_json::{Map, Value, json};

use super::Config;

impl Config {
    /// Returns every hyper-parameter under its name in `all_config.yaml`, in a fixed order.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            map.insert(key.to_owned(), value);
        };
        if let Some(task) = &self.task {
            put("task", json!(task));
        }
        if let Some(shape) = self.box_shape {
            put("box", json!(shape));
        }
        put("H_cycles", json!(self.h_cycles));
        put("L_cycles", json!(self.l_cycles));
        put("H_layers", json!(self.h_layers));
        put("L_layers", json!(self.l_layers));
        put("hidden_size", json!(self.hidden_size));
        put("num_heads", json!(self.num_heads));
        put("expansion", json!(self.expansion));
        put("pos_encodings", json!(self.pos_encodings.name()));
        put("rope_theta", json!(self.rope_theta));
        // The detour through text keeps 1e-5 from becoming 0.000009999999747378752.
        put(
            "rms_norm_eps",
            json!(self.rms_norm_eps.to_string().parse::<f64>().unwrap_or(1e-5)),
        );
        put("mlp_t", json!(self.mlp_t));
        if self.mixer_inner > 0 {
            put("mixer", json!("units"));
            put("mixer_inner", json!(self.mixer_inner));
            put("mlp_inner", json!(self.inner));
        }
        put("puzzle_emb_ndim", json!(self.puzzle_emb_ndim));
        put("puzzle_emb_len", json!(self.puzzle_emb_len));
        put("halt_max_steps", json!(self.halt_max_steps));
        put("no_ACT_continue", json!(self.no_act_continue));
        put("vocab_size", json!(self.vocab_size));
        put("seq_len", json!(self.seq_len));
        put("num_puzzle_identifiers", json!(self.num_puzzle_identifiers));
        if let Some(ids) = &self.puzzle_ids {
            put("puzzle_ids", json!(ids));
        }
        map
    }
}
