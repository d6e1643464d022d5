//! What is copied from a model's folder into what one may publish.
#![cfg(unix)]

use hps_llama::companions::copy_companions;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn file(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, bytes).expect("written");
}

/// A folder that is filled, and one to copy into.
fn folders(fill: impl FnOnce(&Path)) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("to");
    fs::create_dir(&to).expect("a folder");
    fill(folder.path());
    (folder, to)
}

fn refused(from: &Path, to: &Path) -> String {
    let message = copy_companions(from, to).expect_err("it is refused").to_string();
    assert_eq!(fs::read_dir(to).expect("a folder").count(), 0, "{message}");
    message
}

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n-----END OPENSSH PRIVATE KEY-----\n";
/// The first piece of SentencePiece's form, `<unk>` with a score of 0 and type 2, and a second one.
const PIECES: &[u8] = b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02\x0a\x0a\x0a\x03<s>\x15\x00\x00\x00\x00";

#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    for name in ["tokenizer.model", "chat_template.jinja", "tokenizer_config.json"] {
        let (folder, to) = folders(|folder| {
            file(&folder.join("keys/id_rsa"), KEY.as_bytes());
            // What comes before it in order is not copied, either.
            file(&folder.join("model/tokenizer.json"), b"{}");
            symlink(folder.join("keys/id_rsa"), folder.join("model").join(name)).expect("a link");
        });
        let message = refused(&folder.path().join("model"), &to);
        let target = fs::canonicalize(folder.path().join("keys/id_rsa")).expect("a path");
        let expected = format!(
            "{}: is a link to {}, and would be copied into what is written; only links of the Hugging Face hub's cache, to \
             `blobs` of the same model, are followed; put a copy of the file in its place",
            folder.path().join("model").join(name).display(),
            target.display()
        );
        assert_eq!(message, expected);
    }
}

#[test]
fn links_of_the_hubs_cache_are_followed() {
    let cache = |folder: &Path| {
        let model = folder.join("models--owner--name");
        file(&model.join("blobs/0123"), b"{\"eos_token\": \"</s>\"}");
        file(&model.join("blobs/4567"), PIECES);
        fs::create_dir_all(model.join("snapshots/abcd")).expect("folders");
        for (name, blob) in [("tokenizer_config.json", "0123"), ("tokenizer.model", "4567")] {
            symlink(format!("../../blobs/{blob}"), model.join("snapshots/abcd").join(name)).expect("a link");
        }
        model.join("snapshots/abcd")
    };
    let (folder, to) = folders(|folder| drop(cache(folder)));
    let from = folder.path().join("models--owner--name/snapshots/abcd");
    copy_companions(&from, &to).expect("copied");
    assert_eq!(fs::read(to.join("tokenizer_config.json")).expect("read"), b"{\"eos_token\": \"</s>\"}");
    assert_eq!(fs::read(to.join("tokenizer.model")).expect("read"), PIECES);
    assert!(fs::symlink_metadata(to.join("tokenizer.model")).expect("a file").is_file());
    // The same through a link to the snapshot.
    let (folder, to) = folders(|folder| symlink(cache(folder), folder.join("latest")).expect("a link"));
    copy_companions(&folder.path().join("latest"), &to).expect("copied");

    // Out of the blobs, by the blob itself or by the snapshot's link; and into another model's.
    for target in ["../../../id_rsa", "../../blobs/link", "../../../models--owner--other/blobs/89ab"] {
        let (folder, to) = folders(|folder| {
            cache(folder);
            file(&folder.join("id_rsa"), KEY.as_bytes());
            file(&folder.join("models--owner--other/blobs/89ab"), b"text");
            symlink("../../id_rsa", folder.join("models--owner--name/blobs/link")).expect("a link");
            let name = folder.join("models--owner--name/snapshots/abcd/chat_template.jinja");
            symlink(target, name).expect("a link");
        });
        let message = refused(&folder.path().join("models--owner--name/snapshots/abcd"), &to);
        assert!(message.contains("chat_template.jinja: is a link to "), "{target}: {message}");
    }
}

#[test]
fn what_is_copied_holds_what_its_name_says() {
    for (name, bytes, said) in [
        ("tokenizer.json", KEY.as_bytes(), "is not valid JSON: "),
        ("generation_config.json", b"\"a secret\"", "is no object of JSON"),
        ("added_tokens.json", b"{\"a\": 1, \"a\": 2}", "`a` stands twice"),
        ("tokenizer.model", KEY.as_bytes(), "is no tokenizer of SentencePiece's or tiktoken's form"),
        ("tokenizer.model", b"\x0a\x7f\x0a\x05<unk>", "is no tokenizer of SentencePiece's or tiktoken's form"),
        ("tokenizer.model", b"", "is no tokenizer of SentencePiece's or tiktoken's form"),
        ("chat_template.jinja", b"\xff\xfe", "is no text in UTF-8"),
        ("chat_template.jinja", &[b' '; (1 << 20) + 1], "has 1048577 bytes; a chat template has 1048576 at most"),
    ] {
        let (folder, to) = folders(|folder| file(&folder.join("model").join(name), bytes));
        let message = refused(&folder.path().join("model"), &to);
        let place = format!("{}: ", folder.path().join("model").join(name).display());
        assert!(message.starts_with(&place) && message.contains(said), "{message}");
    }
    let (folder, to) = folders(|folder| {
        file(&folder.join("model/tokenizer.model"), b"IQ== 0\nIg== 1\n");
        file(&folder.join("model/chat_template.jinja"), "{{ bos_token }}\u{e9}".as_bytes());
    });
    copy_companions(&folder.path().join("model"), &to).expect("copied");
    assert_eq!(fs::read_dir(&to).expect("a folder").count(), 2);
}

#[test]
fn what_is_no_file_is_refused() {
    let (folder, to) = folders(|folder| fs::create_dir_all(folder.join("model/tokenizer.json")).expect("a folder"));
    let message = refused(&folder.path().join("model"), &to);
    let place = folder.path().join("model/tokenizer.json");
    assert_eq!(message, format!("{}: is a folder, not a regular file", place.display()));
    let (folder, to) = folders(|folder| {
        fs::create_dir(folder.join("model")).expect("a folder");
        symlink("nowhere", folder.join("model/tokenizer.json")).expect("a link");
    });
    assert!(refused(&folder.path().join("model"), &to).contains("tokenizer.json: cannot be read: "));
}
