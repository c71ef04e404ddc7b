// A clock for a simulator that is not given one.
module eoq_clock;
  parameter LINE_BYTES = 4;
  parameter LINES = 1024;
  reg clk = 0;
  always #5 clk = !clk;

  // +waves=FILE, and +waves_from=CYCLE and +waves_to=CYCLE for a part of it.
  reg [8*4096-1:0] waves;
  integer waves_from, waves_to, cycle = 0;
  initial begin
    if (!$value$plusargs("waves_from=%d", waves_from)) waves_from = 0;
    if (!$value$plusargs("waves_to=%d", waves_to)) waves_to = -1;
    if ($value$plusargs("waves=%s", waves)) begin
      $dumpfile(waves);
      $dumpvars(0, simulation);
      if (waves_from > 0) $dumpoff;
    end
    else waves_from = -1;
  end
  always @(posedge clk) begin
    if (cycle == waves_from && cycle != 0) $dumpon;
    if (waves_from >= 0 && cycle == waves_to) $dumpoff;
    cycle <= cycle + 1;
  end
  eoq_simulation #(.LINE_BYTES(LINE_BYTES), .LINES(LINES)) simulation (
    .clk(clk)
  );
endmodule
