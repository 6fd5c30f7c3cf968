export { SignIn, LoginLink } from "./signin";
export { SignUp, Setup, Invitation } from "./signup";
export { Verify, Forgot, Reset } from "./links";
