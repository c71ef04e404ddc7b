// The core with its memory, and a host that does what script.hex says; `cosim.core_run` writes it.
//
// A line of the script is 128 bits: c (40), b (40), a (40), operation (8), the last one lowest.
//   0  finish
//   1  write b to register a[7:0], but for its bytes a[11:8]
//   2  write register a[7:0] into registers.txt
//   3  wait for the interrupt, for b cycles at most; then stop the program, and wait for c more
//   4  copy c lines of memory from line a to line b
// With a[12], 1 and 2 write "access", the response and what was read into registers.txt instead, and
// a refusal is none of anybody's concern.
// Plus arguments: +lines=N, lines of memory.hex at first; +dump=N, lines of memory_after.hex;
// +latency=N, of the memory.
module eoq_simulation #(
  parameter LINE_BYTES = 4,
  parameter LINES = 1024
) (
  input clk
);
  localparam FINISH = 0, WRITE = 1, READ = 2, WAIT = 3, COPY = 4;
  localparam CONTROL = 8'h0C, STOP = 2;
  localparam SCRIPT = 1 << 16;

  reg rst = 1;
  reg [1:0] resets = 3;
  always @(posedge clk) begin
    if (resets != 0) resets <= resets - 1;
    rst <= resets != 0;
  end

  wire arvalid, arready, arid, rvalid, rready, rid, rlast;
  wire awvalid, awready, awid, wvalid, wready, wlast, bvalid, bready, bid;
  wire [39:0] araddr, awaddr;
  wire [7:0] arlen, awlen;
  wire [8*LINE_BYTES-1:0] rdata, wdata;
  wire [LINE_BYTES-1:0] wstrb;
  wire [1:0] rresp, bresp;
  wire interrupt;
  reg [15:0] latency;

  reg s_awvalid = 0, s_bready = 0, s_arvalid = 0, s_rready = 0;
  reg [7:0] s_address = 0;
  reg [31:0] s_wdata = 0;
  reg [3:0] s_wstrb = 0;
  wire s_awready, s_bvalid, s_arready, s_rvalid;
  wire [31:0] s_rdata;
  wire [1:0] s_bresp, s_rresp;

  eoq_core core (
    .clk(clk), .rst(rst), .irq(interrupt),
    .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_arid(arid), .m_axi_araddr(araddr),
    .m_axi_arlen(arlen), .m_axi_arsize(), .m_axi_arburst(),
    .m_axi_rvalid(rvalid), .m_axi_rready(rready), .m_axi_rid(rid), .m_axi_rdata(rdata),
    .m_axi_rresp(rresp), .m_axi_rlast(rlast),
    .m_axi_awvalid(awvalid), .m_axi_awready(awready), .m_axi_awid(awid), .m_axi_awaddr(awaddr),
    .m_axi_awlen(awlen), .m_axi_awsize(), .m_axi_awburst(),
    .m_axi_wvalid(wvalid), .m_axi_wready(wready), .m_axi_wdata(wdata), .m_axi_wstrb(wstrb),
    .m_axi_wlast(wlast),
    .m_axi_bvalid(bvalid), .m_axi_bready(bready), .m_axi_bid(bid), .m_axi_bresp(bresp),
    .s_axil_awvalid(s_awvalid), .s_axil_awready(s_awready), .s_axil_awaddr(s_address),
    .s_axil_wvalid(s_awvalid), .s_axil_wready(), .s_axil_wdata(s_wdata), .s_axil_wstrb(s_wstrb),
    .s_axil_bvalid(s_bvalid), .s_axil_bready(s_bready), .s_axil_bresp(s_bresp),
    .s_axil_arvalid(s_arvalid), .s_axil_arready(s_arready), .s_axil_araddr(s_address),
    .s_axil_rvalid(s_rvalid), .s_axil_rready(s_rready), .s_axil_rdata(s_rdata),
    .s_axil_rresp(s_rresp)
  );

  eoq_axi_memory #(.LINE_BYTES(LINE_BYTES), .LINES(LINES)) memory (
    .clk(clk), .rst(rst), .latency(latency),
    .arvalid(arvalid), .arready(arready), .arid(arid), .araddr(araddr), .arlen(arlen),
    .rvalid(rvalid), .rready(rready), .rid(rid), .rdata(rdata), .rresp(rresp), .rlast(rlast),
    .awvalid(awvalid), .awready(awready), .awid(awid), .awaddr(awaddr), .awlen(awlen),
    .wvalid(wvalid), .wready(wready), .wdata(wdata), .wstrb(wstrb),
    .bvalid(bvalid), .bready(bready), .bid(bid), .bresp(bresp)
  );

  reg [127:0] script [0:SCRIPT-1];
  integer steps, lines, dump, registers, after, k;
  initial begin
    if (!$value$plusargs("steps=%d", steps)) steps = 0;
    if (!$value$plusargs("lines=%d", lines)) lines = 0;
    if (!$value$plusargs("dump=%d", dump)) dump = 0;
    if (!$value$plusargs("latency=%d", latency)) latency = 20;
    script[0] = FINISH;
    if (steps > 0) $readmemh("script.hex", script, 0, steps - 1);
    for (k = lines; k < LINES; k = k + 1) memory.line[k] = 0;
    if (lines > 0) $readmemh("memory.hex", memory.line, 0, lines - 1);
    registers = $fopen("registers.txt", "w");
  end

  localparam NEXT = 0, WRITING = 1, READING = 2, WAITING = 3, STOPPING = 4, STOPPED = 5;
  reg [2:0] state = NEXT;
  reg [15:0] step = 0;
  reg [39:0] left = 0;
  reg [7:0] operation;
  reg [39:0] a, b, c;
  always @(posedge clk)
    if (!rst && resets == 0) begin
      case (state)
        NEXT: begin
          {c, b, a, operation} = script[step];
          step <= step + 1;
          case (operation)
            WRITE: begin
              s_awvalid <= 1;
              s_address <= a[7:0];
              s_wdata <= b[31:0];
              s_wstrb <= ~a[11:8];
              s_bready <= 1;
              state <= WRITING;
            end
            READ: begin
              s_arvalid <= 1;
              s_address <= a[7:0];
              s_rready <= 1;
              state <= READING;
            end
            WAIT: begin
              left <= b;
              state <= WAITING;
            end
            COPY:
              for (k = 0; k < c; k = k + 1) memory.line[b + k] = memory.line[a + k];
            default: begin
              after = $fopen("memory_after.hex", "w");
              for (k = 0; k < dump; k = k + 1) $fwrite(after, "%h\n", memory.line[k]);
              $fclose(after);
              $fclose(registers);
              $finish(0);
            end
          endcase
        end
        WRITING, STOPPING: begin
          if (s_awready) s_awvalid <= 0;
          if (s_bvalid) begin
            s_bready <= 0;
            if (state == WRITING && a[12]) $fwrite(registers, "access %0d 0\n", s_bresp);
            else if (s_bresp != 0) $fwrite(registers, "refused %0d %0d\n", s_address, s_wdata);
            left <= c;
            state <= state == WRITING ? NEXT : STOPPED;
          end
        end
        READING: begin
          if (s_arready) s_arvalid <= 0;
          if (s_rvalid) begin
            s_rready <= 0;
            if (a[12]) $fwrite(registers, "access %0d %0d\n", s_rresp, s_rdata);
            else $fwrite(registers, "%0d %0d\n", s_address, s_rdata);
            state <= NEXT;
          end
        end
        WAITING: begin
          left <= left - 1;
          if (interrupt) state <= NEXT;
          else if (left == 0) begin
            s_awvalid <= 1;
            s_address <= CONTROL;
            s_wdata <= STOP;
            s_wstrb <= 4'hF;
            s_bready <= 1;
            state <= STOPPING;
          end
        end
        default: begin
          left <= left - 1;
          if (interrupt) state <= NEXT;
          else if (left == 0) begin
            $fwrite(registers, "hangs\n");
            state <= NEXT;
          end
        end
      endcase
    end
endmodule
