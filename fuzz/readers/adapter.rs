//! Any bytes as the two files of a PEFT adapter: no panic; an adapter that is accepted fits the model.

use hps_llama::backend::cpu::Cpu;
use hps_llama::config::LlamaConfig;
use hps_llama::lora::Lora;
use std::sync::LazyLock;

static MODEL: LazyLock<LlamaConfig> = LazyLock::new(|| {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/models/tiny");
    LlamaConfig::from_folder(folder).expect("the test model")
});

pub fn run(data: &[u8]) {
    let (config, weights) = super::halves(data);
    let (folder, _) = super::file("adapter_config.json", config);
    std::fs::write(folder.path().join("adapter_model.safetensors"), weights).expect("a temporary file");
    match Lora::from_folder(&Cpu, &MODEL, folder.path(), 0) {
        Ok(adapter) => {
            for parameter in adapter.config().parameters(&MODEL) {
                let (rows, columns) = parameter.shape(&MODEL, adapter.config().r);
                let matrix = adapter.matrix(&Cpu, parameter).expect("the CPU").expect("each has its matrix");
                assert_eq!(matrix.len(), rows * columns);
            }
        }
        Err(error) => assert!(error.to_string().contains("adapter"), "{error}"),
    }
}
