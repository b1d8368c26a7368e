// gather: lists the live slots in rising order and writes their number to every grid's third axis.
//
// It precedes a step that the host does not wait for. One workgroup, 64 slots at a time.

override SLOTS: u32 = 16u;  // slots of the batch, B
override GRIDS: u32 = 8u;   // different grids of a step's dispatches

@group(0) @binding(0) var<storage, read> statuses: array<vec2<u32>>;  // [B], steps and 1 if live
@group(0) @binding(1) var<storage, read_write> live: array<u32>;       // [B]
@group(0) @binding(2) var<storage, read_write> grids: array<u32>;      // [GRIDS, 3], workgroups

var<workgroup> flags: array<u32, 64>;  // 1 if the slot is live

@compute @workgroup_size(64)
fn gather(@builtin(local_invocation_index) id: u32) {
    var count = 0u;
    for (var first = 0u; first < SLOTS; first += 64u) {
        let slot = first + id;
        var is_live = 0u;
        if slot < SLOTS {
            is_live = statuses[slot].y;
        }
        flags[id] = is_live;
        workgroupBarrier();
        var before = 0u;
        var all = 0u;
        for (var i = 0u; i < 64u; i++) {
            before += select(0u, flags[i], i < id);
            all += flags[i];
        }
        if is_live == 1u {
            live[count + before] = slot;
        }
        count += all;
        workgroupBarrier();
    }
    for (var grid = id; grid < GRIDS; grid += 64u) {
        grids[grid * 3u + 2u] = count;
    }
}
