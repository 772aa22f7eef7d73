//! Clients that mean harm, or are broken. The broker closes their connections and goes on; its memory does not grow.

use std::time::Duration;

use anyhow::{Context, Result};
use conformance::calls::{FETCH_VERSION, error, fetch_request, records};
use conformance::clients::PATIENCE;
use conformance::cluster::{Cluster, embedded};
use conformance::wire::Wire;
use kafka_protocol::messages::{ApiKey, MetadataRequest};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tidewright_broker::{Broker, BrokerConfig, Limits};
use tokio::time::timeout;

use crate::process::BrokerProcess;

const NOW: i64 = 1_700_000_000_000;
/// More than this all that hostility must not cost at its worst.
const GROWTH_KIB_MAX: u64 = 16 << 10;

async fn still_serves(cluster: &Cluster) -> Result<()> {
    let topic = cluster.topic("alive", 1, &[]).await?;
    let mut wire = Wire::connect(cluster).await?;
    let response = wire.produce(&topic, &records(&[(NOW, "alive")])).await?;
    assert_eq!(error(response.error_code), None);
    Ok(())
}

/// Sends bytes and waits until the broker has closed the connection, after the client has closed its side.
async fn throw(cluster: &Cluster, bytes: &[u8]) -> Result<()> {
    let mut wire = Wire::connect(cluster).await?;
    // The broker may be done with the connection before everything is sent.
    if wire.send_raw(bytes).await.is_ok() {
        let _ = wire.half_close().await;
    }
    timeout(PATIENCE, wire.rest()).await.context("the connection stays open")??;
    Ok(())
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes()[..], body].concat()
}

#[tokio::test]
async fn garbage_ends_its_connection_only() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let broker = BrokerProcess::start(directory.path(), None).await?;
    let cluster = &broker.cluster;
    still_serves(cluster).await?;
    let before = broker.peak_kib()?;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..300 {
        let mut bytes = vec![0; random.random_range(0..2_000)];
        random.fill(&mut bytes[..]);
        throw(cluster, &bytes).await?;
        throw(cluster, &framed(&bytes)).await?;
    }
    for api in 0..80i16 {
        for version in [0, 1, 3, 7, 12, 99, -1] {
            let mut body = [api.to_be_bytes(), i16::to_be_bytes(version)].concat();
            body.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
            body.extend((0..random.random_range(0..200)).map(|_| random.random::<u8>()));
            throw(cluster, &framed(&body)).await?;
        }
    }
    still_serves(cluster).await?;
    let after = broker.peak_kib()?;
    assert!(after < before + GROWTH_KIB_MAX, "from {before} to {after} KiB");
    Ok(())
}

#[tokio::test]
async fn huge_claims_allocate_nothing() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let broker = BrokerProcess::start(directory.path(), None).await?;
    let cluster = &broker.cluster;
    still_serves(cluster).await?;
    let before = broker.peak_kib()?;
    for length in [i32::MAX, 100 << 20, (100 << 20) + 1, -1, i32::MIN] {
        for _ in 0..20 {
            throw(cluster, &[&length.to_be_bytes()[..], &[0; 100]].concat()).await?;
        }
    }
    // Arrays and strings that claim more than came, in old and in compact form.
    for (api, version) in [(ApiKey::Metadata, 1i16), (ApiKey::Metadata, 9), (ApiKey::Produce, 9), (ApiKey::Fetch, 12)] {
        for claim in [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff, 0xff, 0xff, 0x7f]] {
            let mut body = [(api as i16).to_be_bytes(), version.to_be_bytes()].concat();
            body.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff, 0]);
            for _ in 0..3 {
                body.extend_from_slice(claim);
            }
            throw(cluster, &framed(&body)).await?;
        }
    }
    still_serves(cluster).await?;
    let after = broker.peak_kib()?;
    assert!(after < before + GROWTH_KIB_MAX, "from {before} to {after} KiB");
    Ok(())
}

#[tokio::test]
async fn clients_that_vanish_leave_nothing_behind() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let broker = BrokerProcess::start(directory.path(), None).await?;
    let cluster = &broker.cluster;
    let topic = cluster.topic("vanish", 1, &[]).await?;
    let before = broker.peak_kib()?;
    for n in 0..500 {
        let mut wire = Wire::connect(cluster).await?;
        wire.send(&fetch_request(&topic, 0, 0, 600_000), FETCH_VERSION).await?;
        if n % 2 == 0 {
            wire.send_raw(&[0, 0, 1]).await?;
        }
    }
    still_serves(cluster).await?;
    let after = broker.peak_kib()?;
    assert!(after < before + GROWTH_KIB_MAX, "from {before} to {after} KiB");
    Ok(())
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte_and_many_at_once() -> Result<()> {
    let (broker, cluster) = embedded().await?;
    let mut wire = Wire::connect(&cluster).await?;
    // ApiVersions in version 0.
    let request = framed(&[0, 18, 0, 0, 0, 0, 0, 5, 0xff, 0xff]);
    for byte in &request {
        wire.send_raw(std::slice::from_ref(byte)).await?;
    }
    assert_eq!(&wire.receive_raw().await?[..4], [0, 0, 0, 5]);
    wire.send_raw(&request.repeat(100)).await?;
    wire.half_close().await?;
    for _ in 0..100 {
        assert_eq!(&wire.receive_raw().await?[..4], [0, 0, 0, 5]);
    }
    assert!(timeout(PATIENCE, wire.rest()).await??.is_empty());
    Ok(broker.shutdown().await?)
}

#[tokio::test]
async fn connections_are_limited_and_idle_ones_closed() -> Result<()> {
    let limits = Limits { connections_max: 3, idle_timeout: Duration::from_millis(300), ..Limits::default() };
    let broker = Broker::start(BrokerConfig { limits, ..BrokerConfig::default() }).await?;
    let cluster = Cluster { address: broker.address().to_string(), is_embedded: true };
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::connect(&cluster).await?;
        wire.call(&MetadataRequest::default(), 9).await?;
        open.push(wire);
    }
    let mut refused = Wire::connect(&cluster).await?;
    assert!(timeout(PATIENCE, refused.rest()).await??.is_empty());
    for mut wire in open {
        assert!(timeout(PATIENCE, wire.rest()).await.context("an idle connection stays open")??.is_empty());
    }
    let mut wire = Wire::connect(&cluster).await?;
    wire.call(&MetadataRequest::default(), 9).await?;
    Ok(broker.shutdown().await?)
}
