//! Any bytes as a model's weights, one file or an index and a shard: no panic; a tensor that is read has the shape that
//! was asked for.

use hps_llama::weights::Weights;

pub fn run(data: &[u8]) {
    let (index, shard) = super::halves(data);
    let name = if index.is_empty() { "model.safetensors" } else { "model-00001-of-00001.safetensors" };
    let (folder, _) = super::file(name, shard);
    if !index.is_empty() {
        std::fs::write(folder.path().join("model.safetensors.index.json"), index).expect("a temporary file");
    }
    let weights = match Weights::from_folder(folder.path()) {
        Ok(weights) => weights,
        Err(error) => {
            assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
            return;
        }
    };
    for name in weights.names() {
        for shape in [(1, 4), (2, 3), (4, 4)] {
            let read = weights.read(name, shape, |tensor| {
                assert_eq!((tensor.rows(), tensor.columns()), shape);
                let numbers = tensor.numbers();
                assert!(numbers.len() == shape.0 * shape.1 && numbers.iter().all(|number| number.is_finite()));
                let width = if tensor.encoding().name() == "float32" { 4 } else { 2 };
                assert_eq!(tensor.size().bytes, (numbers.len() * width) as u64);
                Ok(())
            });
            if let Err(error) = read {
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }
}
