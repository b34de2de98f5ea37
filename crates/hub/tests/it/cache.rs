//! What is fetched, where it lands, and what is not fetched again.

use std::fs;

use hub::{Error, OfFolder, Policy, Wanted};

use crate::server::{COMMIT, Server, git_name, sha256};
use crate::{Scene, bytes, read};

const WITH_CONFIG: Wanted =
    Wanted { beside: &["config.json", "../config.json", "*_data"], of_folder: OfFolder::Nothing };

#[test]
fn files_land_where_other_programs_look_for_them() {
    let scene = Scene::new();
    let (model, config) = (bytes(70_000), b"{}".to_vec());
    scene.server.large("o/n", "onnx/model.onnx", &model);
    scene.server.small("o/n", "config.json", &config);
    let fetched = scene.fetch("hf://o/n/onnx/model.onnx", WITH_CONFIG).unwrap();
    let snapshot = scene.cached(&format!("models--o--n/snapshots/{COMMIT}"));
    assert_eq!(fetched.path, snapshot.join("onnx/model.onnx"));
    assert_eq!(fetched.pinned.to_string(), format!("hf://o/n@{COMMIT}/onnx/model.onnx"));
    assert_eq!((fetched.n_files, fetched.n_downloaded), (2, 2));
    let config_name = fetched.name_of(&snapshot.join("config.json"));
    assert_eq!(config_name, Some(format!("hf://o/n@{COMMIT}/config.json")));
    for (link, target, content) in [
        ("onnx/model.onnx", format!("../../../blobs/{}", sha256(&model)), &model),
        ("config.json", format!("../../blobs/{}", git_name(&config)), &config),
    ] {
        assert_eq!(fs::read_link(snapshot.join(link)).unwrap().to_str(), Some(target.as_str()));
        assert_eq!(&read(&snapshot.join(link)), content);
    }
    assert_eq!(fs::read_to_string(scene.cached("models--o--n/refs/main")).unwrap(), COMMIT);
    let blobs = fs::read_dir(scene.cached("models--o--n/blobs")).unwrap().count();
    assert_eq!(blobs, 2, "a part was left");
}

#[test]
fn a_second_time_one_question_is_enough_and_of_a_commit_none() {
    let scene = Scene::new();
    scene.server.large("datasets/o/d", "x.parquet", &bytes(1000));
    scene.server.small("datasets/o/d", "README.md", b"");
    scene.fetch("hf://datasets/o/d/x.parquet", Wanted::FILE).unwrap();
    scene.server.requests();
    let again = scene.fetch("hf://datasets/o/d/x.parquet", Wanted::FILE).unwrap();
    assert_eq!(again.n_downloaded, 0);
    let asked: Vec<_> = scene.server.requests().into_iter().map(|r| (r.method, r.path)).collect();
    assert_eq!(asked, [("HEAD".into(), "/datasets/o/d/resolve/main/x.parquet".into())]);

    scene.fetch("hf://datasets/o/d", Wanted::ALL).unwrap();
    scene.server.requests();
    for location in [format!("hf://datasets/o/d@{COMMIT}/x.parquet"), format!("hf://datasets/o/d@{COMMIT}")] {
        assert_eq!(scene.fetch(&location, Wanted::ALL).unwrap().n_downloaded, 0);
    }
    assert_eq!(scene.server.requests(), []);
}

#[test]
fn a_branch_that_moved_is_followed_and_equal_files_are_not_fetched_again() {
    let scene = Scene::new();
    scene.server.large("o/n", "same.bin", &bytes(500));
    scene.server.large("o/n", "other.bin", b"old");
    scene.fetch("hf://o/n", Wanted::ALL).unwrap();
    let next = "f".repeat(40);
    scene.server.commit(&next);
    scene.server.large("o/n", "other.bin", b"new");
    scene.server.requests();
    let fetched = scene.fetch("hf://o/n", Wanted::ALL).unwrap();
    assert_eq!((fetched.pinned.revision(), fetched.n_downloaded), (next.as_str(), 1));
    assert_eq!(read(&fetched.path.join("other.bin")), b"new");
    assert_eq!(read(&fetched.path.join("same.bin")), bytes(500));
    // The old commit is still there, unchanged.
    let old = scene.cached(&format!("models--o--n/snapshots/{COMMIT}/other.bin"));
    assert_eq!(read(&old), b"old");
}

#[test]
fn what_python_has_fetched_is_used() {
    let mut scene = Scene::new();
    // As huggingface_hub 0.30 leaves it behind: no trace of this program.
    let blob = bytes(300);
    let repository = scene.cached("models--o--n");
    fs::create_dir_all(repository.join("blobs")).unwrap();
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::create_dir_all(repository.join(format!("snapshots/{COMMIT}/onnx"))).unwrap();
    fs::write(repository.join("blobs").join(sha256(&blob)), &blob).unwrap();
    fs::write(repository.join("refs/main"), COMMIT).unwrap();
    let link = repository.join(format!("snapshots/{COMMIT}/onnx/model.onnx"));
    std::os::unix::fs::symlink(format!("../../../blobs/{}", sha256(&blob)), link).unwrap();
    scene.environment.offline = true;
    let fetched = scene.fetch("hf://o/n/onnx/model.onnx", WITH_CONFIG).unwrap();
    assert_eq!(read(&fetched.path), blob);
    // Whether a folder is whole, nobody knows.
    let error = scene.fetch("hf://o/n/onnx", Wanted::ALL).unwrap_err();
    assert!(matches!(error, Error::Unlisted { .. }), "{error}");
    // And what is damaged is not used.
    fs::write(repository.join("blobs").join(sha256(&blob)), bytes(299)).unwrap();
    let error = scene.refusal("hf://o/n/onnx/model.onnx");
    assert!(error.contains(&format!("expected SHA-256 {}, found", sha256(&blob))), "{error}");
}

#[test]
fn of_a_folder_what_is_wanted_and_no_more() {
    let scene = Scene::new();
    for path in ["a/b.onnx", "a/b.onnx_data", "a/config.json", "a/flax.msgpack", "config.json"] {
        scene.server.large("o/n", path, path.as_bytes());
    }
    let wanted = Wanted {
        beside: &[],
        of_folder: OfFolder::Named { one_of: &[&["c.onnx"], &["b.onnx"]], also: &["*_data", "config.json"] },
    };
    let fetched = scene.fetch("hf://o/n/a", wanted).unwrap();
    assert_eq!((fetched.n_files, fetched.path.join("flax.msgpack").exists()), (3, false));
    assert!(fetched.path.ends_with(format!("{COMMIT}/a")));
    let error = scene.fetch("hf://o/n/a", Wanted::FILE).unwrap_err().to_string();
    assert!(error.contains("is a folder, and a file is needed; there is a/b.onnx"), "{error}");
    let error = scene.refusal("hf://o/n/config.yaml");
    assert!(error.contains("no such file or folder") && error.contains("a/b.onnx"), "{error}");
    let file = scene.fetch("hf://o/n/a/b.onnx", Wanted::ALL).unwrap();
    assert_eq!(read(&file.path), b"a/b.onnx");
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let mut scene = Scene::new();
    let elsewhere = Server::start();
    scene.server.large("o/n", "model.onnx", &bytes(4000));
    scene.server.large_files_at(&elsewhere);
    scene.server.require_token("secret");
    scene.environment.token = Some("secret".into());
    let fetched = scene.fetch("hf://o/n/model.onnx", Wanted::FILE).unwrap();
    assert_eq!(read(&fetched.path), bytes(4000));
    let there = elsewhere.requests();
    assert_eq!((there.len(), there[0].method.as_str(), &there[0].token), (1, "GET", &None));
    assert!(scene.server.requests().iter().all(|r| r.token.as_deref() == Some("Bearer secret")));

    scene.environment.token = None;
    let error = scene.refusal("hf://o/n/other.onnx");
    assert!(
        error.contains("refuses it with 401: Invalid username or password.") && error.contains("set HF_TOKEN"),
        "{error}"
    );
    scene.environment.token = Some("wrong".into());
    assert!(scene.refusal("hf://o/n/other.onnx").contains("the token that was sent"));
}

#[test]
fn a_repository_that_was_renamed_is_found_under_its_old_name() {
    let mut scene = Scene::new();
    scene.server.large("new/n", "onnx/model.onnx", &bytes(100));
    scene.server.rename("old/n", "new/n");
    scene.server.require_token("secret");
    scene.environment.token = Some("secret".into());
    for wanted in [Wanted::FILE, WITH_CONFIG] {
        let fetched = scene.fetch("hf://old/n/onnx/model.onnx", wanted).unwrap();
        assert_eq!(read(&fetched.path), bytes(100));
    }
}

#[test]
fn offline_only_the_cache_is_asked() {
    let mut scene = Scene::new();
    scene.server.large("o/n", "a.bin", b"a");
    scene.server.large("o/n", "b.bin", b"b");
    scene.fetch("hf://o/n/a.bin", Wanted::FILE).unwrap();
    scene.server.requests();
    scene.environment.offline = true;
    assert_eq!(scene.fetch("hf://o/n/a.bin", Wanted::FILE).unwrap().pinned.revision(), COMMIT);
    for location in ["hf://o/n/b.bin", "hf://o/other/a.bin", "hf://o/n@v2/a.bin"] {
        let error = scene.refusal(location);
        assert!(
            error.contains("HF_HUB_OFFLINE forbids") && error.contains(scene.dir.path().to_str().unwrap()),
            "{error}"
        );
    }
    scene.environment.offline = false;
    let error = scene.fetch_as(Policy::Look, "hf://o/n/b.bin", Wanted::FILE).unwrap_err();
    assert!(matches!(error, Error::NotFetched { .. }), "{error}");
    assert_eq!(scene.server.requests(), []);
}

#[test]
fn nobody_there_and_the_cache_has_it() {
    let mut scene = Scene::new();
    scene.server.large("o/n", "a.bin", b"a");
    scene.server.large("o/n", "b.bin", b"b");
    scene.fetch("hf://o/n/a.bin", Wanted::FILE).unwrap();
    // A port that was free a moment ago: nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    scene.environment.endpoint = format!("http://{closed}");
    assert_eq!(read(&scene.fetch("hf://o/n/a.bin", Wanted::FILE).unwrap().path), b"a");
    let error = scene.refusal("hf://o/n/b.bin");
    assert!(
        error.contains("cannot reach") && error.contains(&closed.to_string()) && error.contains("HF_ENDPOINT"),
        "{error}"
    );
    assert!(scene.refusal("hf://o/unknown/b.bin").contains("cannot reach"));
}

#[test]
fn a_cache_that_may_only_be_read_serves() {
    let mut scene = Scene::new();
    scene.server.large("o/n", "a.bin", b"a");
    scene.fetch("hf://o/n/a.bin", Wanted::FILE).unwrap();
    fs::remove_dir_all(scene.cached("models--o--n/.headstart")).unwrap();
    // A file where the folder would be: nothing can be noted, whoever runs the test.
    fs::write(scene.cached("models--o--n/.headstart"), "").unwrap();
    assert_eq!(read(&scene.fetch("hf://o/n/a.bin", Wanted::FILE).unwrap().path), b"a");
    scene.environment.offline = true;
    assert_eq!(read(&scene.fetch("hf://o/n/a.bin", Wanted::FILE).unwrap().path), b"a");
}
