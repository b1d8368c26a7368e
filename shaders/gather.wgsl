// gather: the list of the slots that go on, in rising order, and their number as the third axis of every grid. Not one of the eight
// kernels: it precedes a step that the host does not wait for. One workgroup; 64 slots at a time.

override SLOTS: u32 = 16u;  // B
override GRIDS: u32 = 8u;   // grids of a step's dispatches

@group(0) @binding(0) var<storage, read> records: array<vec2<u32>>;   // steps taken, and 1 while the slot goes on, [B]
@group(0) @binding(1) var<storage, read_write> live: array<u32>;      // [B]
@group(0) @binding(2) var<storage, read_write> grids: array<u32>;     // workgroups along x, y, z, [GRIDS, 3]

var<workgroup> going: array<u32, 64>;

@compute @workgroup_size(64)
fn gather(@builtin(local_invocation_index) id: u32) {
    var count = 0u;
    for (var first = 0u; first < SLOTS; first += 64u) {
        let slot = first + id;
        var goes_on = 0u;
        if slot < SLOTS {
            goes_on = records[slot].y;
        }
        going[id] = goes_on;
        workgroupBarrier();
        var before = 0u;
        var all = 0u;
        for (var i = 0u; i < 64u; i++) {
            before += select(0u, going[i], i < id);
            all += going[i];
        }
        if goes_on == 1u {
            live[count + before] = slot;
        }
        count += all;
        workgroupBarrier();
    }
    for (var grid = id; grid < GRIDS; grid += 64u) {
        grids[grid * 3u + 2u] = count;
    }
}
