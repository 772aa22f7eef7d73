//! What is produced is what is consumed.

use anyhow::Result;
use conformance::clients::{PATIENCE, receive_all};
use conformance::cluster::on_every_broker;
use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::FutureRecord;

#[tokio::test]
async fn headers_keys_and_values_come_as_they_were_sent() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("round-trip", 1, &[]).await?;
        let producer = cluster.producer(&[])?;
        let headers = OwnedHeaders::new()
            .insert(Header { key: "twice", value: Some("1") })
            .insert(Header { key: "other", value: None::<&str> })
            .insert(Header { key: "twice", value: Some("2") });
        let record = FutureRecord::to(&topic).key("key").payload("value").headers(headers).timestamp(1_234_567);
        producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        producer.send(FutureRecord::<(), ()>::to(&topic), PATIENCE).await.map_err(|(error, _)| error)?;
        producer.send(FutureRecord::to(&topic).key("").payload(""), PATIENCE).await.map_err(|(error, _)| error)?;
        let messages = receive_all(cluster, &topic, 3).await?;
        let headers: Vec<_> = messages[0].headers().unwrap().iter().map(|h| (h.key, h.value)).collect();
        assert_eq!(headers, [("twice", Some(&b"1"[..])), ("other", None), ("twice", Some(&b"2"[..]))]);
        assert_eq!((messages[0].key(), messages[0].payload()), (Some(&b"key"[..]), Some(&b"value"[..])));
        assert_eq!(messages[0].timestamp().to_millis(), Some(1_234_567));
        assert_eq!((messages[1].key(), messages[1].payload(), messages[1].offset()), (None, None, 1));
        assert_eq!((messages[2].key(), messages[2].payload()), (Some(&b""[..]), Some(&b""[..])));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_compression_comes_through() -> Result<()> {
    on_every_broker(async |cluster| {
        for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let topic = cluster.topic(compression, 1, &[]).await?;
            let producer = cluster.producer(&[("compression.type", compression), ("linger.ms", "20")])?;
            let payload = "compressible ".repeat(50);
            let mut deliveries = Vec::new();
            for n in 0..100 {
                let key = n.to_string();
                let record = FutureRecord::to(&topic).key(&key).payload(&payload);
                deliveries.push(producer.send_result(record).map_err(|(error, _)| error)?);
            }
            for delivery in deliveries {
                delivery.await?.map_err(|(error, _)| error)?;
            }
            let messages = receive_all(cluster, &topic, 100).await?;
            for (n, message) in messages.iter().enumerate() {
                assert_eq!(message.key(), Some(n.to_string().as_bytes()), "{compression}");
                assert_eq!(message.payload(), Some(payload.as_bytes()), "{compression}");
                assert_eq!(message.offset(), n as i64, "{compression}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_default_partitioner_spreads_and_each_partition_keeps_its_order() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("spread", 4, &[]).await?;
        let producer = cluster.producer(&[("partitioner", "murmur2_random")])?;
        for n in 0..200 {
            let (key, value) = (format!("key-{}", n % 20), n.to_string());
            producer.send(FutureRecord::to(&topic).key(&key).payload(&value), PATIENCE).await.map_err(|(e, _)| e)?;
        }
        let messages = receive_all(cluster, &topic, 200).await?;
        let mut last = [-1; 4];
        for message in &messages {
            let value: i32 = std::str::from_utf8(message.payload().unwrap())?.parse()?;
            let last = &mut last[message.partition() as usize];
            assert!(value > *last);
            *last = value;
        }
        assert!(last.iter().all(|last| *last >= 0), "{last:?}");
        Ok(())
    })
    .await
}
