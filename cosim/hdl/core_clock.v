// A clock for a simulator that is not given one.
module eoq_clock;
  parameter LINE_BYTES = 4;
  parameter LINES = 1024;
  parameter LATENCY = 20;
  reg clk = 0;
  always #5 clk = !clk;
  eoq_simulation #(.LINE_BYTES(LINE_BYTES), .LINES(LINES), .LATENCY(LATENCY)) simulation (
    .clk(clk)
  );
endmodule
