//! One librdkafka producer with the thread that serves its delivery reports.
//!
//! The thread is also where the client is destroyed: that takes a while and must not block an async task. A client that
//! is let go delivers what it still holds for a moment, unless it has failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext,
};
use rdkafka::{ClientConfig, ClientContext};

use super::delivery::{Acked, Pending};
use crate::context::{trace_error, trace_line};
use crate::error::{LogError, SendError, SendErrorKind, client_error, send_error};
use crate::record::{Record, kafka_partition, to_kafka_headers, unsigned_offset, unsigned_partition};

/// How often the thread looks whether the producer is still used; delivery reports are served at once.
const TICK: Duration = Duration::from_millis(100);

/// What a link tells its owner.
pub(crate) trait Watcher: Send + Sync + 'static {
    /// Whether a failed record, too, means that the client must not be used any more.
    fn on_failed_record(&self, error: &SendError) -> bool;
    /// The client cannot be used any more.
    fn on_fatal(&self, error: &SendError);
    /// Called now and then; true gives the client up.
    fn on_tick(&self) -> bool {
        false
    }
}

pub(crate) struct LinkContext<W> {
    name: &'static str,
    broken: AtomicBool,
    watcher: W,
}

impl<W: Watcher> LinkContext<W> {
    fn break_with(&self, error: &SendError) {
        self.broken.store(true, Ordering::Release);
        self.watcher.on_fatal(error);
    }
}

impl<W: Watcher> ClientContext for LinkContext<W> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        trace_line(self.name, level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        trace_error(self.name, &error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            let message = format!("the Kafka producer had a fatal error: {reason}");
            self.break_with(&SendError { kind: SendErrorKind::Unavailable, message });
        }
    }
}

impl<W: Watcher> ProducerContext for LinkContext<W> {
    type DeliveryOpaque = Box<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Self::DeliveryOpaque) {
        match result {
            Ok(message) => pending.resolve(Ok(Acked {
                partition: unsigned_partition(message.partition()),
                offset: unsigned_offset(message.offset()),
            })),
            Err((error, message)) => {
                let code = error.rdkafka_error_code();
                let error = send_error(message.topic(), code, &error.to_string());
                let fatal = matches!(code, Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::GaplessGuarantee));
                if self.watcher.on_failed_record(&error) || fatal {
                    self.break_with(&error);
                }
                pending.resolve(Err(error));
            }
        }
    }
}

/// One client. Dropping it lets the client go.
pub(crate) struct Link<W: Watcher> {
    client: Arc<BaseProducer<LinkContext<W>, NoCustomPartitioner>>,
}

impl<W: Watcher> Link<W> {
    /// Makes the client and its thread. What it holds when it is dropped is delivered for at most `drain`.
    pub(crate) fn new(
        name: &'static str,
        config: &ClientConfig,
        watcher: W,
        drain: Duration,
    ) -> Result<Self, LogError> {
        let context = LinkContext { name, broken: AtomicBool::new(false), watcher };
        let client: BaseProducer<_, NoCustomPartitioner> =
            config.create_with_context(context).map_err(|error| client_error(&error))?;
        let client = Arc::new(client);
        let served = Arc::clone(&client);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(served, drain))
            .map_err(|error| LogError::Config(format!("no thread for a Kafka producer: {error}")))?;
        Ok(Self { client })
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.client.context().broken.load(Ordering::Acquire)
    }

    pub(crate) fn watcher(&self) -> &W {
        &self.client.context().watcher
    }

    /// Hands a record to librdkafka, which resolves `pending` later, or right now if it does not take it.
    pub(crate) fn enqueue(&self, record: &Record, pending: Pending) {
        let mut base = BaseRecord::<[u8], [u8], _>::with_opaque_to(&record.topic, Box::new(pending));
        base.partition = record.partition.map(kafka_partition);
        base.key = record.key.as_deref();
        base.payload = record.value.as_deref();
        base.headers = to_kafka_headers(&record.headers);
        if let Err((error, refused)) = self.client.send(base) {
            let error = send_error(&record.topic, error.rdkafka_error_code(), &error.to_string());
            if self.watcher().on_failed_record(&error) {
                self.client.context().break_with(&error);
            }
            refused.delivery_opaque.resolve(Err(error));
        }
    }
}

fn serve<W: Watcher>(client: Arc<BaseProducer<LinkContext<W>, NoCustomPartitioner>>, drain: Duration) {
    // The thread's own reference is the last one once every user has let the client go.
    while Arc::strong_count(&client) > 1 {
        client.poll(TICK);
        let context = client.context();
        if context.watcher.on_tick() {
            context.broken.store(true, Ordering::Release);
        }
    }
    let until = Instant::now() + drain;
    while client.in_flight_count() > 0 && Instant::now() < until && !client.context().broken.load(Ordering::Acquire) {
        client.poll(Duration::from_millis(10));
    }
}
