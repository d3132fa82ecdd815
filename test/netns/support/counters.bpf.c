// SPDX-License-Identifier: MIT
/* What the tests test/netns/linux-bpf*.test.ts load: counts packets, and tells of each. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

/** Lets the next program, and in the end the kernel, go on with the packet: TC_ACT_UNSPEC. */
#define PASS -1

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} packets_per_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} by_length SEC(".maps");

/** Of a type that the kernel does not read in batches. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} told SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u32 first = 0, length = skb->len;
	__u64 one = 1;
	__u64 *counter = bpf_map_lookup_elem(&packets, &first);
	__u32 *own = bpf_map_lookup_elem(&packets_per_cpu, &first);

	if (!counter || !own)
		return PASS;
	__sync_fetch_and_add(counter, 1);
	*own += 1;
	bpf_map_update_elem(&by_length, &length, &one, BPF_NOEXIST);
	bpf_ringbuf_output(&told, &length, sizeof(length), 0);
	return PASS;
}

/** Puts 8 octets behind the link-layer header, and says so. */
SEC("tc")
int grow(struct __sk_buff *skb)
{
	__u64 header = 0x8877665544332211ULL;

	if (bpf_skb_adjust_room(skb, sizeof(header), BPF_ADJ_ROOM_MAC, 0))
		return TC_ACT_SHOT;
	bpf_skb_store_bytes(skb, ETH_HLEN, &header, sizeof(header), 0);
	return skb->mark;
}

char _license[] SEC("license") = "GPL";
