"""What runs the features: watches, queue, leader election, clock, metrics and logs."""
