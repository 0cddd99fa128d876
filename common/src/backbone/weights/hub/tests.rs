//! Addresses, the cache, and a Hub that is not there.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
};

use super::*;

fn parse(address: &str) -> Result<HubFile, String> {
    address.parse().map_err(|error: HubError| error.to_string())
}

fn resnet() -> HubFile {
    parse("hf:timm/resnet18.a1_in1k/model.safetensors").unwrap()
}

/// A proxy would stand between the client and the servers of these tests.
fn is_proxied() -> bool {
    ["all_proxy", "https_proxy", "http_proxy"]
        .into_iter()
        .any(|name| {
            [name.to_owned(), name.to_uppercase()]
                .iter()
                .any(|n| std::env::var_os(n).is_some())
        })
}

fn builder(cache: &Path, endpoint: String) -> Option<ApiBuilder> {
    let cache = Cache::new(cache.to_owned());
    Some(ApiBuilder::from_cache(cache).with_endpoint(endpoint))
}

#[test]
fn addresses_are_split_into_repository_revision_and_file() {
    let plain = resnet();
    assert_eq!(plain.repo, "timm/resnet18.a1_in1k");
    assert_eq!(plain.revision, "main");
    assert_eq!(plain.file, "model.safetensors");
    let full = parse("hf:a/b@v1.0/folder/weights.pth").unwrap();
    assert_eq!(
        (full.repo.as_str(), full.revision.as_str()),
        ("a/b", "v1.0")
    );
    assert_eq!(full.file, "folder/weights.pth");
    for address in [plain, full] {
        assert_eq!(parse(&address.to_string()), Ok(address));
    }
}

#[test]
fn bad_addresses_are_refused_with_the_form() {
    for address in [
        "hf:",
        "hf:a/b",
        "hf:a//c",
        "hf:a/b@/c",
        "hf:a/b/",
        "hf:a/b/../../etc/passwd",
        "hf:a/b/c?d",
        "https://a/b/c",
    ] {
        let message = parse(address).unwrap_err();
        assert!(message.starts_with(&format!("`{address}`: ")), "{message}");
        assert!(
            message.contains("expected `hf:OWNER/NAME/FILE`"),
            "{message}"
        );
    }
}

#[test]
fn cached_file_is_used_without_network() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("models--timm--resnet18.a1_in1k");
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), "c0ffee").unwrap();
    fs::create_dir_all(folder.join("snapshots/c0ffee")).unwrap();
    let file = folder.join("snapshots/c0ffee/model.safetensors");
    fs::write(&file, "weights").unwrap();
    let cache = Cache::new(home.path().to_owned());
    let found = resnet().fetch_with(&cache, None, Progress::Silent).unwrap();
    assert_eq!(found, file);
}

#[test]
fn offline_error_gives_the_remedy() {
    assert!(!is_proxied(), "unset the proxy variables for this test");
    let home = tempfile::tempdir().unwrap();
    // A port that was just closed: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let builder = builder(home.path(), format!("http://127.0.0.1:{port}"));
    let cache = Cache::new(home.path().to_owned());
    let error = resnet()
        .fetch_with(&cache, builder, Progress::Silent)
        .unwrap_err();
    assert!(
        matches!(
            error,
            HubError::Offline {
                source: Some(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "`hf:timm/resnet18.a1_in1k/model.safetensors`: the Hub cannot be reached \
         (offline: download `model.safetensors` elsewhere and pass its path)"
    );
}

#[test]
fn file_that_the_hub_lacks_is_refused_and_not_called_offline() {
    assert!(!is_proxied(), "unset the proxy variables for this test");
    let home = tempfile::tempdir().unwrap();
    let builder = builder(home.path(), serve(answer_not_found));
    let cache = Cache::new(home.path().to_owned());
    let error = resnet()
        .fetch_with(&cache, builder, Progress::Silent)
        .unwrap_err();
    assert!(matches!(error, HubError::Refused { .. }), "{error:?}");
}

#[test]
fn served_file_is_downloaded_once_and_then_cached() {
    assert!(!is_proxied(), "unset the proxy variables for this test");
    let home = tempfile::tempdir().unwrap();
    let builder = builder(home.path(), serve(answer_with_weights));
    let cache = Cache::new(home.path().to_owned());
    let first = resnet()
        .fetch_with(&cache, builder, Progress::Silent)
        .unwrap();
    assert_eq!(fs::read(&first).unwrap(), b"weights");
    let again = resnet().fetch_with(&cache, None, Progress::Silent).unwrap();
    assert_eq!(again, first);
}

fn answer_not_found(_request: &str) -> String {
    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
}

/// As the Hub answers: the first request asks for one byte, the second for all.
fn answer_with_weights(request: &str) -> String {
    let body = if request.to_lowercase().contains("bytes=0-0") {
        "w"
    } else {
        "weights"
    };
    format!(
        "HTTP/1.1 206 Partial Content\r\nETag: \"5eed\"\r\nX-Repo-Commit: c0ffee\r\n\
         Content-Range: bytes 0-{}/7\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len() - 1,
        body.len()
    )
}

/// Answers every request until the test process ends; returns the endpoint.
fn serve(answer: fn(&str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            respond(stream.unwrap(), answer);
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn respond(mut stream: TcpStream, answer: fn(&str) -> String) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    stream.write_all(answer(&request).as_bytes()).unwrap();
}
