// Drives a broker with Apache Kafka's own Java client. Run as a single source file: java -cp 'JARS/*' Client.java ADDRESS
// It ends with 0 when everything is as it should be; what is not is an exception that says so.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.*;

public class Client {
    static final Duration PATIENCE = Duration.ofSeconds(60);
    static final Duration POLL = Duration.ofMillis(50);

    static String address;
    static Admin admin;

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        try (Admin opened = Admin.create(Map.of("bootstrap.servers", address))) {
            admin = opened;
            run("produce and consume", Client::producesAndConsumes);
            run("cooperative group", () -> sharesPartitions("org.apache.kafka.clients.consumer.CooperativeStickyAssignor"));
            run("eager group", () -> sharesPartitions("org.apache.kafka.clients.consumer.RangeAssignor"));
            run("static members", Client::keepsStaticMembers);
            run("cluster", Client::describesTheCluster);
            run("settings", Client::altersSettings);
            run("growth", Client::createsPartitions);
            run("deleted records", Client::deletesRecords);
            run("groups", Client::administersGroups);
        }
    }

    interface Step {
        void run() throws Exception;
    }

    static void run(String name, Step step) throws Exception {
        long start = System.nanoTime();
        step.run();
        System.out.println("ok " + name + " " + (System.nanoTime() - start) / 1_000_000 + " ms");
    }

    static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(String.valueOf(what));
        }
    }

    static void equal(Object found, Object expected) {
        check(found.equals(expected), "found " + found + ", expected " + expected);
    }

    /** The cause of a refused request. */
    static void refused(Class<?> expected, Callable<?> request) throws Exception {
        try {
            request.call();
        } catch (ExecutionException failure) {
            check(expected.isInstance(failure.getCause()), "expected " + expected + ", not " + failure.getCause());
            return;
        }
        throw new AssertionError("expected " + expected);
    }

    /** Kafka's brokers learn of some changes a moment later. */
    static void until(Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.call()) {
            check(System.nanoTime() < deadline, "a condition did not come about");
            Thread.onSpinWait();
        }
    }

    static String topic(String what, int partitions) throws Exception {
        String name = "conformance." + what + "." + UUID.randomUUID();
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
        until(() -> {
            try {
                return admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().stream()
                    .allMatch(partition -> partition.leader() != null && !partition.leader().isEmpty());
            } catch (ExecutionException failure) {
                check(failure.getCause() instanceof UnknownTopicOrPartitionException, failure);
                return false;
            }
        });
        return name;
    }

    static Producer<String, String> producer(String compression) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", address);
        settings.put("enable.idempotence", "true");
        settings.put("acks", "all");
        settings.put("compression.type", compression);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    static Consumer<String, String> consumer(String group, Map<String, String> more) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", address);
        settings.put("group.id", group);
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", "30000");
        settings.put("heartbeat.interval.ms", "200");
        settings.putAll(more);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    static void fill(String topic, int partitions, int count) throws Exception {
        try (Producer<String, String> producer = producer("none")) {
            for (int n = 0; n < count; n++) {
                producer.send(new ProducerRecord<>(topic, n % partitions, "key", "value " + n));
            }
            producer.flush();
        }
    }

    static List<ConsumerRecord<String, String>> take(Consumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> taken = new ArrayList<>();
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (taken.size() < count) {
            check(System.nanoTime() < deadline, "only " + taken.size() + " of " + count + " records came");
            consumer.poll(POLL).forEach(taken::add);
        }
        equal(taken.size(), count);
        return taken;
    }

    static void producesAndConsumes() throws Exception {
        String topic = topic("java", 1);
        List<String> compressions = List.of("none", "gzip", "snappy", "lz4", "zstd");
        for (String compression : compressions) {
            try (Producer<String, String> producer = producer(compression)) {
                for (int n = 0; n < 200; n++) {
                    ProducerRecord<String, String> record = new ProducerRecord<>(topic, "key", compression + n);
                    record.headers().add("compression", compression.getBytes()).add("empty", null);
                    producer.send(record);
                }
                producer.flush();
            }
        }
        try (Consumer<String, String> consumer = consumer(topic, Map.of())) {
            consumer.subscribe(List.of(topic));
            int at = 0;
            for (ConsumerRecord<String, String> record : take(consumer, 200 * compressions.size())) {
                String compression = compressions.get(at / 200);
                equal(record.offset(), (long) at);
                equal(record.value(), compression + at % 200);
                Header header = record.headers().lastHeader("compression");
                check(Arrays.equals(header.value(), compression.getBytes()), "another header");
                check(record.headers().lastHeader("empty").value() == null, "a header that was null");
                at++;
            }
            consumer.commitSync();
            equal(consumer.committed(Set.of(new TopicPartition(topic, 0))).get(new TopicPartition(topic, 0)).offset(), (long) at);
        }
    }

    static void pollUntil(List<Consumer<String, String>> consumers, BooleanSupplier condition) {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.getAsBoolean()) {
            check(System.nanoTime() < deadline, "the group stays at " + consumers.stream().map(Consumer::assignment).toList());
            consumers.forEach(consumer -> consumer.poll(POLL));
        }
    }

    static boolean share(List<Consumer<String, String>> consumers, int partitions) {
        Set<TopicPartition> together = new HashSet<>();
        consumers.forEach(consumer -> together.addAll(consumer.assignment()));
        int count = consumers.stream().mapToInt(consumer -> consumer.assignment().size()).sum();
        return together.size() == partitions && count == partitions
            && consumers.stream().noneMatch(consumer -> consumer.assignment().isEmpty());
    }

    static void sharesPartitions(String assignor) throws Exception {
        String topic = topic("shared", 6);
        Map<String, String> settings = Map.of("partition.assignment.strategy", assignor);
        Consumer<String, String> first = consumer(topic, settings);
        Consumer<String, String> second = consumer(topic, settings);
        first.subscribe(List.of(topic));
        pollUntil(List.of(first), () -> share(List.of(first), 6));
        second.subscribe(List.of(topic));
        pollUntil(List.of(first, second), () -> share(List.of(first, second), 6));
        first.close();
        pollUntil(List.of(second), () -> share(List.of(second), 6));
        second.close();
    }

    static class Rebalances implements ConsumerRebalanceListener {
        int count;

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            count++;
        }
    }

    static void keepsStaticMembers() throws Exception {
        String topic = topic("static", 4);
        Rebalances rebalances = new Rebalances();
        Consumer<String, String> stays = consumer(topic, Map.of("group.instance.id", "stays"));
        Consumer<String, String> leaves = consumer(topic, Map.of("group.instance.id", "returns"));
        stays.subscribe(List.of(topic), rebalances);
        leaves.subscribe(List.of(topic));
        pollUntil(List.of(stays, leaves), () -> share(List.of(stays, leaves), 4));
        Set<TopicPartition> before = leaves.assignment();
        int rounds = rebalances.count;
        // A static member does not leave its group when it ends.
        leaves.close();
        Consumer<String, String> returns = consumer(topic, Map.of("group.instance.id", "returns"));
        returns.subscribe(List.of(topic));
        pollUntil(List.of(stays, returns), () -> !returns.assignment().isEmpty());
        equal(returns.assignment(), before);
        equal(rebalances.count, rounds);
        ConsumerGroupDescription described = describe(topic);
        Set<String> instances = new TreeSet<>();
        described.members().forEach(member -> instances.add(member.groupInstanceId().orElse("")));
        equal(instances, Set.of("returns", "stays"));
        // Another one under the same name takes its place, and it is told so.
        Consumer<String, String> intruder = consumer(topic, Map.of("group.instance.id", "returns"));
        intruder.subscribe(List.of(topic));
        pollUntil(List.of(stays, intruder), () -> !intruder.assignment().isEmpty());
        try {
            pollUntil(List.of(returns), () -> false);
            throw new AssertionError("the former member was not fenced");
        } catch (FencedInstanceIdException expected) {
            returns.close();
        }
        admin.removeMembersFromConsumerGroup(topic, new RemoveMembersFromConsumerGroupOptions(
            List.of(new MemberToRemove("returns")))).all().get();
        pollUntil(List.of(stays), () -> stays.assignment().size() == 4);
        intruder.close();
        stays.close();
    }

    static void describesTheCluster() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        equal(cluster.nodes().get().size(), 1);
        check(cluster.clusterId().get() != null, "no cluster id");
        check(!cluster.authorizedOperations().get().isEmpty(), "no operations");
        int node = cluster.controller().get().id();
        String topic = topic("sizes", 1);
        fill(topic, 1, 10);
        long size = admin.describeLogDirs(List.of(node)).allDescriptions().get().get(node).values().stream()
            .map(directory -> directory.replicaInfos().get(new TopicPartition(topic, 0)))
            .filter(replica -> replica != null).mapToLong(ReplicaInfo::size).sum();
        check(size > 0, "no size");
        refused(SecurityDisabledException.class, () -> admin.describeAcls(AclBindingFilter.ANY).values().get());
        equal(admin.listPartitionReassignments().reassignments().get(), Map.of());
        check(admin.listTopics().names().get().contains(topic), "the topic is not listed");
    }

    static String setting(String topic, String name) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get(name).value();
    }

    static void alter(ConfigResource resource, String name, String value, AlterConfigOp.OpType type) throws Exception {
        AlterConfigOp edit = new AlterConfigOp(new ConfigEntry(name, value), type);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(edit))).all().get();
    }

    static void altersSettings() throws Exception {
        String topic = topic("settings", 1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        alter(resource, "retention.ms", "60000", AlterConfigOp.OpType.SET);
        until(() -> setting(topic, "retention.ms").equals("60000"));
        alter(resource, "cleanup.policy", "compact", AlterConfigOp.OpType.APPEND);
        until(() -> setting(topic, "cleanup.policy").equals("delete,compact"));
        alter(resource, "cleanup.policy", "compact", AlterConfigOp.OpType.SUBTRACT);
        until(() -> setting(topic, "cleanup.policy").equals("delete"));
        alter(resource, "retention.ms", "", AlterConfigOp.OpType.DELETE);
        until(() -> setting(topic, "retention.ms").equals("604800000"));
        refused(InvalidConfigurationException.class, () -> {
            alter(resource, "no.such", "1", AlterConfigOp.OpType.SET);
            return null;
        });
        ConfigResource node = new ConfigResource(ConfigResource.Type.BROKER, "1");
        refused(InvalidRequestException.class, () -> {
            alter(node, "num.partitions", "3", AlterConfigOp.OpType.SET);
            return null;
        });
    }

    static void createsPartitions() throws Exception {
        String topic = topic("grows", 1);
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
        until(() -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == 3);
        refused(InvalidPartitionsException.class,
            () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get());
        fill(topic, 3, 30);
        try (Consumer<String, String> consumer = consumer(topic, Map.of())) {
            consumer.subscribe(List.of(topic));
            Map<Integer, Integer> counts = new TreeMap<>();
            take(consumer, 30).forEach(record -> counts.merge(record.partition(), 1, Integer::sum));
            equal(counts, Map.of(0, 10, 1, 10, 2, 10));
        }
    }

    static long offset(String topic, OffsetSpec spec) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    static void deletesRecords() throws Exception {
        String topic = topic("deleted", 1);
        fill(topic, 1, 10);
        check(offset(topic, OffsetSpec.maxTimestamp()) >= 0L, "no greatest timestamp");
        TopicPartition partition = new TopicPartition(topic, 0);
        admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4))).all().get();
        equal(offset(topic, OffsetSpec.earliest()), 4L);
        equal(offset(topic, OffsetSpec.latest()), 10L);
        equal(offset(topic, OffsetSpec.forTimestamp(0)), 4L);
        admin.deleteTopics(List.of(topic)).all().get();
        until(() -> !admin.listTopics().names().get().contains(topic));
    }

    static ConsumerGroupDescription describe(String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }

    static void administersGroups() throws Exception {
        String topic = topic("groups", 2);
        fill(topic, 2, 10);
        TopicPartition first = new TopicPartition(topic, 0), second = new TopicPartition(topic, 1);
        refused(GroupIdNotFoundException.class, () -> describe(topic));
        try (Consumer<String, String> consumer = consumer(topic, Map.of())) {
            consumer.subscribe(List.of(topic));
            take(consumer, 10);
            consumer.commitSync();
            until(() -> describe(topic).groupState() == GroupState.STABLE);
            MemberDescription member = describe(topic).members().iterator().next();
            equal(member.assignment().topicPartitions(), Set.of(first, second));
            equal(member.host(), "/127.0.0.1");
            check(listed(topic, GroupState.STABLE), "not listed as stable");
            refused(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(topic)).all().get());
            refused(GroupSubscribedToTopicException.class,
                () -> admin.deleteConsumerGroupOffsets(topic, Set.of(first)).partitionResult(first).get());
        }
        until(() -> describe(topic).groupState() == GroupState.EMPTY);
        check(listed(topic, GroupState.EMPTY) && !listed(topic, GroupState.STABLE), "not listed as empty");
        admin.deleteConsumerGroupOffsets(topic, Set.of(first)).all().get();
        equal(offsets(topic), Map.of(second, 5L));
        admin.alterConsumerGroupOffsets(topic, Map.of(first, new OffsetAndMetadata(3, Optional.of(0), "again"))).all().get();
        equal(offsets(topic), Map.of(first, 3L, second, 5L));
        admin.deleteConsumerGroups(List.of(topic)).all().get();
        check(!listed(topic, GroupState.EMPTY), "a deleted group is listed");
    }

    static boolean listed(String group, GroupState state) throws Exception {
        ListGroupsOptions options = ListGroupsOptions.forConsumerGroups().inGroupStates(Set.of(state));
        return admin.listGroups(options).all().get().stream().anyMatch(listing -> listing.groupId().equals(group));
    }

    static Map<TopicPartition, Long> offsets(String group) throws Exception {
        Map<TopicPartition, Long> offsets = new java.util.HashMap<>();
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
            .forEach((partition, committed) -> offsets.put(partition, committed.offset()));
        return offsets;
    }
}
