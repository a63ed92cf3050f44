//! Metrics over HTTP: `/metrics` for all workers, `/metrics/worker/N` for one, and `/sd`, where Prometheus
//! finds a target for each worker (`http_sd_configs`). In that job set `honor_labels: true`: target and
//! samples both have the label `worker`, with the same value.
//!
//! GET only, one request a connection, small limits; nothing that is asked changes anything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::WorkerView;
use serde_json::json;
use sys::Clocks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::services::Shared;

/// Connections at once; beyond, new ones are closed.
const MAX_CONNECTIONS: usize = 32;
/// How long a connection may take from its begin to its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the longest request head; the smallest that hyper allows.
const MAX_HEAD: usize = 8192;
/// How long nothing is accepted after the kernel refused to.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const WHAT_IS_HERE: &str = "here are /metrics (all), /metrics/worker/N (one worker), /metrics/registry (one that is shared) and /sd (http_sd_configs)\n";

/// Serves the socket for ever.
pub(crate) async fn serve(listener: TcpListener, shared: Shared) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            connection(stream, shared).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, shared: Shared) {
    // The address that was called is one at which we can be reached.
    let Ok(here) = stream.local_addr() else { return };
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), here, &shared);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).max_buf_size(MAX_HEAD).timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // Errors are the other side's: there is nobody to tell.
    let _ = timeout(PATIENCE, builder.serve_connection(TokioIo::new(stream), service)).await;
}

fn respond(method: &Method, path: &str, here: SocketAddr, shared: &Shared) -> Response<Full<Bytes>> {
    if method != Method::GET {
        let mut response = full(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let services = shared.borrow();
    let hosts = services.reach.views();
    let views = services.host.views(services.bus.broker.as_ref(), &hosts);
    let registry = services.registry_view();
    let found = match path {
        "/metrics" => {
            let registry = registry.as_ref().map(metrics::render_registry).unwrap_or_default();
            Some((metrics::CONTENT_TYPE, render(&views) + &registry))
        }
        "/metrics/registry" => {
            registry.as_ref().map(|view| (metrics::CONTENT_TYPE, metrics::render_registry(view)))
        }
        "/sd" => {
            let slots = views.iter().map(|view| view.slot);
            Some(("application/json", targets(here, slots, registry.is_some())))
        }
        _ => one(path, &views).map(|view| (metrics::CONTENT_TYPE, render(&[view]))),
    };
    match found {
        Some((kind, body)) => full(StatusCode::OK, kind, body),
        None => full(StatusCode::NOT_FOUND, TEXT, WHAT_IS_HERE.to_owned()),
    }
}

fn render(views: &[WorkerView<'_>]) -> String {
    metrics::render(views, Clocks::now().mono_us)
}

/// The worker that the path names.
fn one<'a>(path: &str, views: &[WorkerView<'a>]) -> Option<WorkerView<'a>> {
    let slot = path.strip_prefix("/metrics/worker/")?;
    views.iter().find(|view| view.slot.to_string() == slot).copied()
}

/// One target a worker, and one for the registry where one is shared; all of them here.
fn targets(here: SocketAddr, slots: impl Iterator<Item = u8>, has_registry: bool) -> String {
    let target = |slot: u8| {
        let labels =
            json!({ "__metrics_path__": format!("/metrics/worker/{slot}"), "worker": slot.to_string() });
        json!({ "targets": [here.to_string()], "labels": labels })
    };
    let registry =
        || json!({ "targets": [here.to_string()], "labels": { "__metrics_path__": "/metrics/registry" } });
    serde_json::Value::from_iter(slots.map(target).chain(has_registry.then(registry))).to_string()
}

fn full(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_http_sd() {
        let here = "[::1]:9464".parse().unwrap();
        assert_eq!(
            targets(here, [0, 1].into_iter(), false),
            concat!(
                r#"[{"labels":{"__metrics_path__":"/metrics/worker/0","worker":"0"},"targets":["[::1]:9464"]},"#,
                r#"{"labels":{"__metrics_path__":"/metrics/worker/1","worker":"1"},"targets":["[::1]:9464"]}]"#
            )
        );
        assert_eq!(targets(here, std::iter::empty(), false), "[]");
        let registry = targets(here, std::iter::empty(), true);
        assert!(registry.contains(r#""__metrics_path__":"/metrics/registry""#), "{registry}");
    }
}
