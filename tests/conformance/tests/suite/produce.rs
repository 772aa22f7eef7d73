//! What the broker accepts, what it refuses and how it says so.

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use conformance::calls::{PRODUCE_VERSION, batch, error, produce_request, records, sequenced};
use conformance::clients::PATIENCE;
use conformance::cluster::on_every_broker;
use conformance::wire::Wire;
use kafka_protocol::error::ResponseError::{self, *};
use kafka_protocol::messages::MetadataRequest;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureRecord;
use tokio::time::timeout;

const NOW: i64 = 1_700_000_000_000;

#[tokio::test]
async fn appends_are_answered_with_their_offsets() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("offsets", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        for (expected, count) in [(0, 1), (1, 3), (4, 2)] {
            let response = wire.produce(&topic, &records(&vec![(NOW, "value"); count])).await?;
            assert_eq!(error(response.error_code), None);
            assert_eq!((response.base_offset, response.log_append_time_ms), (expected, -1));
            assert_eq!(response.log_start_offset, 0);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_duplicate_is_answered_with_its_first_offset() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("duplicates", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let id = wire.init_producer().await?;
        let send = async |wire: &mut Wire, epoch: i16, first: i32| {
            let response = wire.produce(&topic, &sequenced(id, epoch, first, &[(NOW, "a"), (NOW, "b")])).await?;
            anyhow::Ok((error(response.error_code), response.base_offset))
        };
        assert_eq!(send(&mut wire, 0, 0).await?, (None, 0));
        assert_eq!(send(&mut wire, 0, 2).await?, (None, 2));
        assert_eq!(send(&mut wire, 0, 0).await?, (None, 0));
        assert_eq!(send(&mut wire, 0, 2).await?, (None, 2));
        assert_eq!(send(&mut wire, 0, 6).await?, (Some(OutOfOrderSequenceNumber), -1));
        assert_eq!(send(&mut wire, 0, 4).await?, (None, 4));
        assert_eq!(send(&mut wire, 1, 6).await?, (Some(OutOfOrderSequenceNumber), -1));
        assert_eq!(send(&mut wire, 1, 0).await?, (None, 6));
        assert_eq!(send(&mut wire, 0, 6).await?, (Some(InvalidProducerEpoch), -1));
        assert_eq!(wire.list_offsets(&topic, -1).await?.offset, 8);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_unknown_producer_may_start_anywhere_and_old_duplicates_are_out_of_order() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("sequences", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let id = wire.init_producer().await?;
        let mut send = async |first: i32| {
            let response = wire.produce(&topic, &sequenced(id, 0, first, &[(NOW, "a")])).await?;
            anyhow::Ok((error(response.error_code), response.base_offset))
        };
        for n in 0..7 {
            assert_eq!(send(17 + n).await?, (None, i64::from(n)));
        }
        assert_eq!(send(19).await?, (None, 2));
        assert_eq!(send(18).await?, (Some(OutOfOrderSequenceNumber), -1));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn sequence_numbers_wrap_around() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("wrap", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let id = wire.init_producer().await?;
        for (first, expected) in [(i32::MAX - 1, 0), (i32::MAX, 1), (0, 2), (i32::MAX, 1)] {
            let response = wire.produce(&topic, &sequenced(id, 0, first, &[(NOW, "a")])).await?;
            assert_eq!((error(response.error_code), response.base_offset), (None, expected), "{first}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn producer_ids_are_never_given_twice() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(wire.init_producer().await?);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 20);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn broken_batches_are_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("broken", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let whole = batch(&records(&[(NOW, "some value"), (NOW, "another")]))?;
        let changed = |at: usize, to: u8| {
            let mut bytes = whole.to_vec();
            bytes[at] = to;
            bytes
        };
        let rechecked = |at: usize, to: u8| {
            let mut bytes = changed(at, to);
            let checksum = crc32c::crc32c(&bytes[21..]);
            bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
            bytes
        };
        let cases: [(&str, Option<ResponseError>, Vec<u8>); 7] = [
            ("sound", None, whole.to_vec()),
            ("flipped bit", Some(CorruptMessage), changed(whole.len() - 2, b'?')),
            ("old format", Some(InvalidRecord), changed(16, 1)),
            ("two batches", Some(InvalidRecord), [&whole[..], &whole[..]].concat()),
            ("nothing", Some(InvalidRecord), Vec::new()),
            ("wrong count", Some(InvalidRecord), rechecked(60, 7)),
            ("control batch", Some(InvalidRecord), rechecked(22, 0x20)),
        ];
        for (what, expected, bytes) in cases {
            let response = wire.produce_to(&topic, 0, -1, Some(Bytes::from(bytes))).await?;
            assert_eq!(error(response.error_code), expected, "{what}: {:?}", response.error_message);
        }
        assert_eq!(wire.list_offsets(&topic, -1).await?.offset, 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_appended_is_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("refused", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let sound = || batch(&records(&[(NOW, "value")])).map(Some);
        let unknown = cluster.unique("unknown");
        let response = wire.produce_to(&unknown, 0, -1, sound()?).await?;
        assert_eq!(error(response.error_code), Some(UnknownTopicOrPartition));
        let response = wire.produce_to(&topic, 1, -1, sound()?).await?;
        assert_eq!(error(response.error_code), Some(UnknownTopicOrPartition));
        let response = wire.produce_to(&topic, 0, 5, sound()?).await?;
        assert_eq!(error(response.error_code), Some(InvalidRequiredAcks));
        let far = i64::MAX / 2;
        let response = wire.produce(&topic, &records(&[(far, "from the future")])).await?;
        assert_eq!(error(response.error_code), Some(InvalidTimestamp));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_topics_own_settings_are_respected() -> Result<()> {
    on_every_broker(async |cluster| {
        let mut wire = Wire::connect(cluster).await?;
        let small = cluster.topic("small", 1, &[("max.message.bytes", "200")]).await?;
        let large = "x".repeat(200);
        let response = wire.produce(&small, &records(&[(NOW, &large)])).await?;
        assert_eq!(error(response.error_code), Some(MessageTooLarge));
        assert_eq!(error(wire.produce(&small, &records(&[(NOW, "small")])).await?.error_code), None);

        let compacted = cluster.topic("compacted", 1, &[("cleanup.policy", "compact")]).await?;
        let mut keyless = records(&[(NOW, "value")]);
        keyless[0].key = None;
        assert_eq!(error(wire.produce(&compacted, &keyless).await?.error_code), Some(InvalidRecord));
        assert_eq!(error(wire.produce(&compacted, &records(&[(NOW, "value")])).await?.error_code), None);

        let replicated = cluster.topic("replicated", 1, &[("min.insync.replicas", "2")]).await?;
        let sound = batch(&records(&[(NOW, "value")]))?;
        // No more than all replicas can be wanted in sync, and this topic has one.
        assert_eq!(error(wire.produce_to(&replicated, 0, -1, Some(sound)).await?.error_code), None);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_client_learns_that_its_message_is_too_large() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("too-large", 1, &[]).await?;
        let producer = cluster.producer(&[("message.max.bytes", "3000000")])?;
        let large = vec![b'x'; 2_000_000];
        let (failure, _) =
            producer.send(FutureRecord::<(), _>::to(&topic).payload(&large), PATIENCE).await.unwrap_err();
        assert!(matches!(failure, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge)), "{failure}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_request_that_wants_no_answer_gets_none() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("no-answer", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let sound = batch(&records(&[(NOW, "value")]))?;
        wire.send(&produce_request(&topic, 0, 0, Some(sound)), PRODUCE_VERSION).await?;
        // The next answer belongs to the next request.
        wire.call(&MetadataRequest::default().with_topics(Some(Vec::new())), 9).await?;
        let written = async {
            while wire.list_offsets(&topic, -1).await?.offset < 1 {
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        timeout(PATIENCE, written).await.context("the record was not written")?
    })
    .await
}

#[tokio::test]
async fn the_broker_stamps_records_where_the_topic_says_so() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let response = wire.produce(&topic, &records(&[(1_000, "a"), (2_000, "b")])).await?;
        assert_eq!(error(response.error_code), None);
        let stamped = response.log_append_time_ms;
        assert!(stamped > NOW);
        let fetched = wire.fetch(&topic, 0, 1_000).await?.records.unwrap_or_default();
        let attributes = i16::from_be_bytes([fetched[21], fetched[22]]);
        assert_eq!(attributes & 0x08, 0x08);
        let max_timestamp = i64::from_be_bytes(fetched[35..43].try_into()?);
        assert_eq!(max_timestamp, stamped);
        let checksum = u32::from_be_bytes(fetched[17..21].try_into()?);
        assert_eq!(checksum, crc32c::crc32c(&fetched[21..]));
        let messages = conformance::clients::receive_all(cluster, &topic, 2).await?;
        for message in messages {
            let timestamp = rdkafka::Message::timestamp(&message);
            assert_eq!(timestamp, rdkafka::Timestamp::LogAppendTime(stamped));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn batches_are_kept_byte_for_byte() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("bytes", 1, &[]).await?;
        let mut wire = Wire::connect(cluster).await?;
        let sent = batch(&records(&[(NOW, "a"), (NOW + 5, "b")]))?;
        for _ in 0..2 {
            wire.produce_to(&topic, 0, -1, Some(sent.clone())).await?;
        }
        let fetched = wire.fetch(&topic, 2, 1_000).await?.records.unwrap_or_default();
        let mut expected = BytesMut::from(&sent[..]);
        expected[..8].copy_from_slice(&2i64.to_be_bytes());
        // The leader's epoch is the broker's to write.
        expected[12..16].copy_from_slice(&fetched[12..16]);
        assert_eq!(fetched, expected);
        Ok(())
    })
    .await
}
