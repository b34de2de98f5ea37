//! Transfers that go wrong: cut short, changed on the way, refused, gone on with.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::SystemTime;

use hub::{Error, Event, Hub, Policy, Wanted};

use crate::server::{COMMIT, Fault, sha256};
use crate::{Scene, bytes, read};

const FILE: &str = "hf://o/n/model.onnx";

fn scene(n: usize) -> Scene {
    let scene = Scene::new();
    scene.server.large("o/n", "model.onnx", &bytes(n));
    scene
}

#[test]
fn a_transfer_that_breaks_off_is_gone_on_with() {
    let scene = scene(100_000);
    scene.server.fault("model.onnx", Fault::Truncate { after: 30_000, times: 2 });
    let fetched = scene.fetch(FILE, Wanted::FILE).unwrap();
    assert_eq!(read(&fetched.path), bytes(100_000));
    let ranges: Vec<_> = scene.server.gets().into_iter().map(|(_, range)| range).collect();
    assert_eq!(ranges, [None, Some("bytes=30000-".into()), Some("bytes=60000-".into())]);
}

#[test]
fn fault_25_one_that_always_breaks_off_is_an_error_and_the_next_run_goes_on() {
    let scene = scene(100_000);
    scene.server.fault("model.onnx", Fault::Truncate { after: 10_000, times: 1000 });
    let error = scene.refusal(FILE);
    assert!(error.contains("ended early: expected 100000 bytes, found 40000"), "{error}");
    let part = scene.cached(&format!("models--o--n/blobs/{}.incomplete", sha256(&bytes(100_000))));
    assert_eq!(fs::metadata(&part).unwrap().len(), 40_000);
    assert!(!scene.cached(&format!("models--o--n/snapshots/{COMMIT}/model.onnx")).exists());
    scene.server.heal();
    scene.server.requests();
    assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(100_000));
    assert_eq!(scene.server.gets(), [("model.onnx".to_string(), Some("bytes=40000-".to_string()))]);
    assert!(!part.exists());
}

#[test]
fn an_answer_that_does_not_say_its_length_is_measured_by_what_was_announced() {
    // Too short: gone on with, although the transfer ended in good order.
    let scene = scene(100_000);
    scene.server.fault("model.onnx", Fault::Unmeasured { bytes: 30_000, times: 2 });
    assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(100_000));
    let ranges: Vec<_> = scene.server.gets().into_iter().map(|(_, range)| range).collect();
    assert_eq!(ranges, [None, Some("bytes=30000-".into()), Some("bytes=60000-".into())]);

    // Too long: no beginning of the file either, so nothing is kept.
    let scene = self::scene(50_000);
    scene.server.fault("model.onnx", Fault::Unmeasured { bytes: 60_000, times: 1 });
    let error = scene.refusal(FILE);
    assert!(error.contains("expected a file of 50000 bytes, the answer has 60000"), "{error}");
    assert_eq!(fs::read_dir(scene.cached("models--o--n/blobs")).unwrap().count(), 0);
    assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(50_000));
}

#[test]
fn an_answer_of_another_length_is_refused_before_it_is_read() {
    for n in [40_000, 60_000] {
        let scene = scene(50_000);
        scene.server.fault("model.onnx", Fault::OtherLength(n));
        let error = scene.refusal(FILE);
        assert!(error.contains(&format!("expected a file of 50000 bytes, the answer has {n}")), "{error}");
        assert_eq!(scene.server.gets().len(), 1);
        assert_eq!(fs::read_dir(scene.cached("models--o--n/blobs")).unwrap().count(), 0);
    }
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let scene = scene(50_000);
    let part = scene.cached(&format!("models--o--n/blobs/{}.incomplete", sha256(&bytes(50_000))));
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(&part, &bytes(50_000)[..20_000]).unwrap();
    scene.server.fault("model.onnx", Fault::NoRanges);
    assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(50_000));
}

#[test]
fn a_part_that_does_not_belong_is_thrown_away() {
    for (what, content) in
        [("other bytes", vec![7; 20_000]), ("too many", vec![7; 60_000]), ("all wrong", vec![7; 50_000])]
    {
        let scene = scene(50_000);
        let part = scene.cached(&format!("models--o--n/blobs/{}.incomplete", sha256(&bytes(50_000))));
        fs::create_dir_all(part.parent().unwrap()).unwrap();
        fs::write(&part, content).unwrap();
        assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(50_000), "{what}");
    }
}

#[test]
fn fault_25_wrong_bytes_are_an_error_and_are_not_kept() {
    let scene = scene(50_000);
    scene.server.small("o/n", "config.json", b"{\"a\": 1}");
    for (path, digest) in [("model.onnx", "SHA-256"), ("config.json", "SHA-1")] {
        scene.server.fault(path, Fault::WrongBytes);
        let error = scene.fetch(&format!("hf://o/n/{path}"), Wanted::FILE).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains(&format!("expected {digest} ")) && said.contains(&scene.server.url()), "{said}");
    }
    let left: Vec<_> = fs::read_dir(scene.cached("models--o--n/blobs")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    scene.server.heal();
    assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(50_000));
}

#[test]
fn what_was_damaged_in_the_cache_is_fetched_again() {
    let scene = scene(50_000);
    let path = scene.fetch(FILE, Wanted::FILE).unwrap().path;
    let blob = fs::canonicalize(&path).unwrap();
    let modified = fs::metadata(&blob).unwrap().modified().unwrap();
    fs::write(&blob, vec![0; 50_000]).unwrap();
    assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(50_000));
    // With its time put back only --rehash can tell.
    let modified = fs::metadata(&blob).map_or(modified, |m| m.modified().unwrap());
    fs::write(&blob, vec![0; 50_000]).unwrap();
    fs::File::options().append(true).open(&blob).unwrap().set_modified(modified).unwrap();
    assert_eq!(scene.fetch(FILE, Wanted::FILE).unwrap().n_downloaded, 0);
    assert_eq!(scene.fetch_as(Policy::Recheck, FILE, Wanted::FILE).unwrap().n_downloaded, 1);
    assert_eq!(read(&path), bytes(50_000));
}

#[test]
fn what_was_damaged_is_not_lent_to_another_commit() {
    let scene = scene(50_000);
    fs::write(scene.fetch(FILE, Wanted::FILE).unwrap().path, vec![0; 50_000]).unwrap();
    scene.server.commit(&"f".repeat(40));
    let fetched = scene.fetch(FILE, Wanted::FILE).unwrap();
    assert_eq!((read(&fetched.path), fetched.n_downloaded), (bytes(50_000), 1));
}

#[test]
fn what_was_damaged_in_the_cache_is_not_touched_where_it_cannot_be_replaced() {
    let mut scene = scene(50_000);
    let pinned = format!("hf://o/n@{COMMIT}/model.onnx");
    let path = scene.fetch(FILE, Wanted::FILE).unwrap().path;
    fs::write(&path, vec![0; 50_000]).unwrap();
    let before = snapshot(&scene);
    let said = |error: Error| {
        assert!(matches!(error, Error::DamagedHere { .. }), "{error}");
        let (error, digest) = (error.to_string(), sha256(&bytes(50_000)));
        assert!(
            error.contains(&format!("expected SHA-256 {digest}, found ")) && error.contains("fetched again"),
            "{error}"
        );
    };
    // A look that may not fetch, in both ways of naming the file.
    for location in [FILE, &pinned] {
        said(scene.fetch_as(Policy::Look, location, Wanted::FILE).unwrap_err());
        said(scene.fetch_as(Policy::Look, location, Wanted::ALL).unwrap_err());
    }
    scene.environment.offline = true;
    said(scene.fetch(FILE, Wanted::FILE).unwrap_err());
    scene.environment.offline = false;
    // Nobody answers: with a branch the cache is asked, of a commit only the file itself is missing.
    let hub = std::mem::replace(&mut scene.environment.endpoint, "http://127.0.0.1:9".into());
    said(scene.fetch(FILE, Wanted::FILE).unwrap_err());
    assert!(scene.refusal(&pinned).contains("cannot reach"));
    assert_eq!(snapshot(&scene), before);

    scene.environment.endpoint = hub;
    scene.server.requests();
    assert_eq!(scene.fetch(&pinned, Wanted::FILE).unwrap().n_downloaded, 1);
    assert_eq!(read(&path), bytes(50_000));
}

/// Every file below the cache, with its length and time of change.
fn snapshot(scene: &Scene) -> Vec<(PathBuf, u64, SystemTime)> {
    let (mut found, mut folders) = (Vec::new(), vec![scene.cached("")]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.push((path, metadata.len(), metadata.modified().unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_status_is_said_and_passing_ones_are_waited_for() {
    let scene = scene(1000);
    scene.server.fault("model.onnx", Fault::Status { status: 503, times: 2 });
    assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(1000));
    for (status, said) in
        [(404, "no such file"), (403, "refuses it with 403"), (418, "answers 418"), (500, "answers 500")]
    {
        scene.server.fault("other.onnx", Fault::Status { status, times: 99 });
        scene.server.fault("revision/main", Fault::Status { status, times: 99 });
        let error = scene.refusal("hf://o/n/other.onnx");
        assert!(error.contains(said) && error.contains(&scene.server.url()), "{error}");
    }
    scene.server.heal();
    assert!(scene.refusal("hf://o/none/x.onnx").contains("404: Repository not found"));
    assert!(scene.refusal("hf://o/n@v9/model.onnx").contains("404: Invalid rev id"));
}

#[test]
fn an_answer_that_no_hub_gives_is_said() {
    let mut scene = scene(1000);
    scene.environment.endpoint = format!("{}/large", scene.server.url());
    assert!(scene.refusal(FILE).contains("404"));
    scene.environment.endpoint = "nonsense".into();
    let error = scene.refusal(FILE);
    assert!(error.contains("no address") && error.contains("HF_ENDPOINT"), "{error}");
}

#[test]
fn a_listener_may_stop_it_and_what_came_is_kept() {
    let scene = scene(3_000_000);
    let mut hub = Hub::new(scene.environment.clone(), Policy::Download).unwrap();
    let mut names = Vec::new();
    let error = hub.fetch(&FILE.parse().unwrap(), &Wanted::FILE, &mut |event| match event {
        Event::At(n) if n > 500_000 => ControlFlow::Break(()),
        Event::File { name, bytes, .. } => {
            names.push((name.to_string(), bytes));
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(error, Err(Error::Stopped)), "{error:?}");
    assert_eq!(names, [("model.onnx".to_string(), Some(3_000_000))]);
    scene.server.requests();
    assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(3_000_000));
    let gets = scene.server.gets();
    assert!(gets.len() == 1 && gets[0].1.is_some(), "{gets:?}");
}

#[test]
fn two_at_once_download_once() {
    let scene = scene(2_000_000);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(read(&scene.fetch(FILE, Wanted::FILE).unwrap().path), bytes(2_000_000)));
        }
    });
    assert_eq!(scene.server.gets().len(), 1);
}
