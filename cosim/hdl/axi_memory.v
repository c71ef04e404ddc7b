// Memory behind AXI4 with a latency of so many cycles, for simulation.
//
// Bursts are served in order. The first beat of a read comes `latency` cycles after its address was
// taken, or right behind the burst before it; a response `latency` cycles after the last beat of its
// write. Beats follow each other without a pause, and an address is taken whenever fewer than BURSTS
// are waiting. An address past the end is answered with DECERR; a burst past a boundary of 4096 bytes,
// which AXI4 forbids, ends the simulation. Whoever places it fills `line`.
module eoq_axi_memory #(
  parameter LINE_BYTES = 4,
  parameter LINES = 1024,
  parameter BURSTS = 4,
  parameter ADDRESS_BITS = 40
) (
  input clk,
  input rst,
  input [15:0] latency,
  input arvalid,
  output arready,
  input arid,
  input [ADDRESS_BITS-1:0] araddr,
  input [7:0] arlen,
  output rvalid,
  input rready,
  output rid,
  output [8*LINE_BYTES-1:0] rdata,
  output [1:0] rresp,
  output rlast,
  input awvalid,
  output awready,
  input awid,
  input [ADDRESS_BITS-1:0] awaddr,
  input [7:0] awlen,
  input wvalid,
  output wready,
  input [8*LINE_BYTES-1:0] wdata,
  input [LINE_BYTES-1:0] wstrb,
  output bvalid,
  input bready,
  output bid,
  output [1:0] bresp
);
  localparam SHIFT = $clog2(LINE_BYTES);
  localparam INDEX = $clog2(LINES);
  localparam SLOT = $clog2(BURSTS);
  localparam [1:0] DECERR = 3;

  reg [8*LINE_BYTES-1:0] line [0:LINES-1];
  reg [63:0] now = 0;
  integer k;
  always @(posedge clk) now <= now + 1;

  localparam BOUNDARY = 4096;
  always @(posedge clk)
    if (!rst) begin
      if (arvalid && 32'(araddr % BOUNDARY) + (32'(arlen) + 1) * LINE_BYTES > BOUNDARY)
        $fatal(1, "a read from %0d, %0d beats long, crosses %0d bytes", araddr, arlen + 1, BOUNDARY);
      if (awvalid && 32'(awaddr % BOUNDARY) + (32'(awlen) + 1) * LINE_BYTES > BOUNDARY)
        $fatal(1, "a write to %0d, %0d beats long, crosses %0d bytes", awaddr, awlen + 1, BOUNDARY);
    end

  // Reads that wait: line of the next beat, beats behind it, and when the first may come.
  reg [ADDRESS_BITS-1:0] r_line [0:BURSTS-1];
  reg [7:0] r_left [0:BURSTS-1];
  reg r_id [0:BURSTS-1];
  reg [63:0] r_time [0:BURSTS-1];
  reg [SLOT-1:0] r_head = 0, r_tail = 0;
  reg [SLOT:0] r_count = 0;
  wire r_known = r_line[r_head] < LINES;
  wire r_moves = rvalid && rready;
  assign arready = r_count != BURSTS;
  assign rvalid = r_count != 0 && r_time[r_head] <= now;
  assign rid = r_id[r_head];
  assign rdata = r_known ? line[r_line[r_head][INDEX-1:0]] : 0;
  assign rresp = r_known ? 0 : DECERR;
  assign rlast = r_left[r_head] == 0;
  always @(posedge clk) begin
    if (arvalid && arready) begin
      r_line[r_tail] <= araddr >> SHIFT;
      r_left[r_tail] <= arlen;
      r_id[r_tail] <= arid;
      r_time[r_tail] <= now + 64'(latency);
      r_tail <= r_tail + 1;
    end
    if (r_moves) begin
      r_line[r_head] <= r_line[r_head] + 1;
      r_left[r_head] <= r_left[r_head] - 1;
      if (rlast) r_head <= r_head + 1;
    end
    r_count <= r_count + (arvalid && arready) - (r_moves && rlast);
    if (rst) begin
      r_head <= 0; r_tail <= 0; r_count <= 0;
    end
  end

  // One write after the other; responses wait.
  reg [ADDRESS_BITS-1:0] w_line;
  reg [7:0] w_left;
  reg w_id, w_active = 0, w_bad = 0;
  reg [63:0] b_time [0:BURSTS-1];
  reg b_id [0:BURSTS-1], b_bad [0:BURSTS-1];
  reg [SLOT-1:0] b_head = 0, b_tail = 0;
  reg [SLOT:0] b_count = 0;
  wire w_known = w_line < LINES;
  wire w_moves = wvalid && wready;
  wire w_ends = w_moves && w_left == 0;
  assign awready = !w_active && b_count != BURSTS;
  assign wready = w_active;
  assign bvalid = b_count != 0 && b_time[b_head] <= now;
  assign bid = b_id[b_head];
  assign bresp = b_bad[b_head] ? DECERR : 0;
  always @(posedge clk) begin
    if (awvalid && awready) begin
      w_line <= awaddr >> SHIFT;
      w_left <= awlen;
      w_id <= awid;
      w_active <= 1;
      w_bad <= 0;
    end
    if (w_moves) begin
      if (w_known)
        for (k = 0; k < LINE_BYTES; k = k + 1)
          if (wstrb[k]) line[w_line[INDEX-1:0]][8*k +: 8] <= wdata[8*k +: 8];
      w_line <= w_line + 1;
      w_left <= w_left - 1;
      w_bad <= w_bad || !w_known;
    end
    if (w_ends) begin
      w_active <= 0;
      b_time[b_tail] <= now + 64'(latency);
      b_id[b_tail] <= w_id;
      b_bad[b_tail] <= w_bad || !w_known;
      b_tail <= b_tail + 1;
    end
    if (bvalid && bready) b_head <= b_head + 1;
    b_count <= b_count + w_ends - (bvalid && bready);
    if (rst) begin
      w_active <= 0; b_head <= 0; b_tail <= 0; b_count <= 0;
    end
  end
endmodule
