//! What a run leaves for people to look at: event files that another reader reads, and a page.

use hps_llama::train::{EventFile, write_page};
use tfrecord::protobuf::event::What;
use tfrecord::protobuf::summary::value::Value;
use tfrecord::{Event, EventIter};

/// Read by a crate that shares nothing with the writer; it checks both checksums of every record.
fn events(folder: &std::path::Path) -> Vec<Event> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| EventIter::open(file, Default::default()).unwrap()).map(Result::unwrap).collect()
}

fn numbers(event: &Event) -> Vec<(String, f32)> {
    let Some(What::Summary(summary)) = &event.what else { return vec![] };
    let number = |value: &Option<Value>| match value {
        Some(Value::SimpleValue(number)) => *number,
        other => panic!("{other:?}"),
    };
    summary.value.iter().map(|value| (value.tag.clone(), number(&value.value))).collect()
}

#[test]
fn another_reader_reads_the_event_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = EventFile::create(folder.path(), 1).unwrap();
    file.scalars(1, [("train/loss", 0.25), ("train/rewards/margins", -1.5e-3)]).unwrap();
    file.scalars(300, [("eval/loss", f64::from(f32::MAX))]).unwrap();
    let name = file.path().file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("events.out.tfevents."), "{name}");

    let events = events(folder.path());
    assert_eq!(events.len(), 4);
    assert_eq!(events[0].what, Some(What::FileVersion("brain.Event:2".into())));
    let Some(What::SessionLog(start)) = &events[1].what else { panic!("{:?}", events[1]) };
    assert_eq!((events[1].step, start.status), (1, 1));
    assert_eq!(events[2].step, 1);
    assert_eq!(numbers(&events[2]), [("train/loss".into(), 0.25), ("train/rewards/margins".into(), -1.5e-3)]);
    assert_eq!((events[3].step, numbers(&events[3])), (300, vec![("eval/loss".into(), f32::MAX)]));
    assert!(events.iter().all(|event| event.wall_time > 1.7e9));
}

#[test]
fn the_page_holds_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("metrics.jsonl");
    let mut text = String::new();
    for step in 1..=40 {
        let (loss, rate) = (0.7 / f64::from(step), 1e-6 * f64::from(40 - step));
        text += &format!("{{\"step\":{step},\"loss\":{loss},\"learning_rate\":{rate},\"gamma\":null}}\n");
        if step % 20 == 0 {
            text += &format!("{{\"step\":{step},\"eval_loss\":0.25}}\n");
        }
    }
    std::fs::write(&log, text).unwrap();
    let page = folder.path().join("report.html");
    let options = [("loss_type".to_string(), "<dpo> & \"hps\"".to_string())];
    write_page(&page, "a run", &log, &options).unwrap();

    let html = std::fs::read_to_string(&page).unwrap();
    // Loss and learning rate; a γ that is null is no chart.
    assert_eq!(html.matches("<svg").count(), 2);
    assert!(html.contains("Loss, nats") && html.contains("held out") && !html.contains("Hardness"));
    assert!(html.contains("&lt;dpo&gt; &amp; &quot;hps&quot;"));
    assert!(html.contains("<dt>held-out loss</dt><dd>0.2500</dd>") && html.contains("<dt>updates</dt><dd>40</dd>"));
    // Nothing is loaded from elsewhere.
    assert!(!html.contains("src=") && !html.contains("href="));
}

#[test]
fn a_broken_log_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("metrics.jsonl");
    std::fs::write(&log, "{\"step\":1}\n{\"step\":").unwrap();
    let page = folder.path().join("report.html");
    let error = write_page(&page, "a run", &log, &[]).unwrap_err().to_string();
    assert!(error.contains("metrics.jsonl:2: not a line of JSON"), "{error}");
    assert!(!page.exists());
}
